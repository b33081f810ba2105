//! A picture as PNG, for where SVG is not shown: chats, tickets, documents.
//!
//! ```text
//!   SVG ─▶ colours of the light scheme ─▶ resvg, one font that is part of the binary ─▶ PNG
//! ```
//!
//! Nothing is asked of the machine: not its fonts, not its colours. Letters the font does not have are
//! left out.

use std::fmt;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Why a picture cannot be drawn.
#[derive(Debug)]
pub struct PngError(String);

impl fmt::Display for PngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the picture cannot be drawn: {}", self.0)
    }
}

impl std::error::Error for PngError {}

/// The PNG of a picture of ours, two pixels to a unit; one where it is very high.
///
/// # Errors
/// It is no picture of ours, or higher than memory allows.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().find_map(|face| face.families.first());
    let family = family.map_or_else(String::new, |(name, _)| name.clone());
    fonts.set_sans_serif_family(family.clone());
    let options = Options {
        fontdb: Arc::new(fonts),
        font_family: family,
        ..Options::default()
    };
    let tree = Tree::from_str(&light(svg), &options).map_err(|error| PngError(error.to_string()))?;
    let size = tree.size().to_int_size();
    let pixels = u64::from(size.width()) * u64::from(size.height());
    let scale: u8 = if pixels <= MOST_PIXELS { 2 } else { 1 };
    let (width, height) = (size.width() * u32::from(scale), size.height() * u32::from(scale));
    let mut sheet =
        Pixmap::new(width, height).ok_or_else(|| PngError(format!("{width} x {height} pixels")))?;
    let scale = f32::from(scale);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut sheet.as_mut());
    sheet.encode_png().map_err(|error| PngError(error.to_string()))
}

/// Larger pictures have one pixel to a unit.
const MOST_PIXELS: u64 = 8_000_000;

/// The picture with the colours of the light scheme in the place of their names, which the rasteriser
/// does not know.
fn light(svg: &str) -> String {
    let Some((before, rest)) = svg.split_once("<style>") else {
        return svg.to_owned();
    };
    let Some((style, after)) = rest.split_once("</style>") else {
        return svg.to_owned();
    };
    let mut style = without_media(style);
    // A name may be the begin of another one: with its bracket it is not.
    for (name, value) in names(&style) {
        style = style.replace(&format!("var({name})"), &value);
    }
    format!("{before}<style>{style}</style>{after}")
}

/// Without rules for other schemes.
fn without_media(style: &str) -> String {
    let mut plain = String::new();
    let mut rest = style;
    while let Some((before, block)) = rest.split_once("@media") {
        plain.push_str(before);
        let mut depth = 0_usize;
        let end = block.char_indices().find_map(|(at, letter)| {
            depth = match letter {
                '{' => depth + 1,
                '}' => depth.saturating_sub(1),
                _ => return None,
            };
            (depth == 0).then_some(at + 1)
        });
        rest = end.and_then(|end| block.get(end..)).unwrap_or_default();
    }
    plain + rest
}

/// Every `--name: value;`.
fn names(style: &str) -> Vec<(String, String)> {
    let declarations = style.split(['{', '}', ';']);
    declarations
        .filter_map(|declaration| {
            let (name, value) = declaration.split_once(':')?;
            let name = name.trim();
            name.starts_with("--")
                .then(|| (name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_light_scheme() {
        let svg = "<svg><style>.p { --a: #fff; --ab: #000; }\n@media x { .p { --a: #111; } }\n\
                   .q { fill: var(--a); stroke: var(--ab); }</style><g/></svg>";
        let plain = "<svg><style>.p { --a: #fff; --ab: #000; }\n\n\
                     .q { fill: #fff; stroke: #000; }</style><g/></svg>";
        assert_eq!(light(svg), plain);
        assert_eq!(light("<svg/>"), "<svg/>");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(png("<svg").is_err());
        assert!(png("<html/>").is_err());
    }

    /// A square of one colour on another, and a letter: the font is there.
    #[test]
    fn shapes_and_letters_are_drawn() {
        let square = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 20 10\">\
                      <style>.a { --c: #ff0000; } .s { fill: var(--c); }</style>\
                      <g class=\"a\"><rect class=\"s\" width=\"10\" height=\"10\"/>LETTER</g></svg>";
        let draw =
            |letter: &str| Pixmap::decode_png(&png(&square.replace("LETTER", letter)).expect("a picture"));
        let blank = draw("").expect("PNG");
        assert_eq!((blank.width(), blank.height()), (40, 20));
        let at = |x, y| blank.pixel(x, y).map(|pixel| (pixel.red(), pixel.alpha()));
        assert_eq!((at(5, 5), at(35, 5)), (Some((255, 255)), Some((0, 0))));
        let text = "<text x=\"11\" y=\"9\" font-size=\"9\" font-family=\"system-ui, sans-serif\">W</text>";
        let written = draw(text).expect("PNG");
        assert_ne!(blank.data(), written.data());
    }
}
