//! Weighs the images: what each has in flash beyond the empty one, and which functions that is.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};

type Error = Box<dyn std::error::Error>;

/// Images and the flash that our code in them may take (design, section "Numbers to reach").
const IMAGES: [(&str, &str, Option<u64>); 6] = [
    ("size_empty", "nothing", None),
    ("size_gcra", "GCRA alone, one quota", Some(256)),
    ("size_gcra_any", "GCRA alone, any quota", Some(256)),
    ("size_limiter", "a limiter with reservations", None),
    ("size_guard", "whole guard", Some(8 * 1_024)),
    ("size_guard_checked", "the same, policies checked at start", None),
];

#[derive(Clone, Copy, Default)]
struct Weight {
    flash: u64,
    ram: u64,
    /// Of the flash: division, shifts and copies that the compiler brings along.
    runtime: u64,
    /// Of the flash: constants, such as the policies and the first state of a guard.
    constants: u64,
}

/// The table. `ours` is what an image has in flash beyond the empty one and the compiler's runtime;
/// its constants are part of it.
///
/// # Errors
/// An image that cannot be read.
pub(crate) fn table(folder: &Path) -> Result<String, Error> {
    let mut text = format!(
        "{:<36}{:>8}{:>9}{:>7}{:>11}{:>8}\n",
        "image", "flash", "runtime", "ours", "constants", "target"
    );
    let mut empty = Weight::default();
    for (image, what, target) in IMAGES {
        let weight = weigh(&folder.join(image))?;
        if image == "size_empty" {
            empty = weight;
            text += &format!("{what:<36}{:>8}\n", weight.flash);
            continue;
        }
        let more = weight.flash - empty.flash;
        let runtime = weight.runtime - empty.runtime;
        let ours = more - runtime;
        let mark = target.map_or(String::new(), |target| {
            format!("{target:>8}{}", if ours > target { "  missed" } else { "" })
        });
        let constants = weight.constants - empty.constants;
        text += &format!("{what:<36}{more:>+8}{runtime:>9}{ours:>7}{constants:>11}{mark}\n");
        if weight.ram != empty.ram {
            text += &format!(
                "  statics: {:+}\n",
                weight.ram.cast_signed() - empty.ram.cast_signed()
            );
        }
    }
    Ok(text)
}

/// The functions of one image, largest first.
///
/// # Errors
/// An image that cannot be read.
pub(crate) fn symbols(image: &Path) -> Result<String, Error> {
    let data = fs::read(image)?;
    let file = object::File::parse(&*data)?;
    let mut rows: Vec<(u64, String)> = file
        .symbols()
        .filter(|symbol| symbol.size() > 0)
        .filter_map(|symbol| Some((symbol.size(), plain(symbol.name().ok()?))))
        .collect();
    rows.sort_by(|a, b| b.cmp(a));
    Ok(rows
        .iter()
        .map(|(size, name)| format!("{size:>8} {name}\n"))
        .collect())
}

fn weigh(image: &Path) -> Result<Weight, Error> {
    let data = fs::read(image).map_err(|error| format!("{}: {error}", image.display()))?;
    let file = object::File::parse(&*data)?;
    let mut weight = Weight::default();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            continue;
        };
        if sh_flags & u64::from(object::elf::SHF_ALLOC) == 0 {
            continue;
        }
        match section.kind() {
            SectionKind::UninitializedData => weight.ram += section.size(),
            // Kept in flash and copied at start.
            SectionKind::Data => {
                weight.ram += section.size();
                weight.flash += section.size();
            }
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => {
                weight.constants += section.size();
                weight.flash += section.size();
            }
            _ => weight.flash += section.size(),
        }
    }
    let mut seen = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let name = plain(symbol.name()?);
        // One function may have several names.
        if is_runtime(&name) && !seen.contains(&symbol.address()) {
            seen.push(symbol.address());
            weight.runtime += symbol.size();
        }
    }
    Ok(weight)
}

fn plain(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

fn is_runtime(name: &str) -> bool {
    name.contains("compiler_builtins")
        || ["__aeabi", "__udiv", "__umod", "__mul", "__lsh", "__ashl", "__mem"]
            .iter()
            .any(|start| name.starts_with(start))
}
