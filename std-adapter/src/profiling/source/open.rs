//! The open elements of an XML document: their names and where they began.

use super::failure::short;
use super::tap::Position;

/// A stack of elements. Their names share one text, so that an element costs no allocation.
#[derive(Debug)]
pub(super) struct OpenElements {
    names: String,
    /// Where in `names` the name begins, and where in the document the element does.
    begun: Vec<(usize, Mark)>,
    /// The place of the document.
    start: Position,
}

/// Where an element began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// In a document that is in memory.
    pub(super) offset: usize,
    /// `None` where nobody has asked so far: it can be told by counting lines.
    pub(super) at: Option<Position>,
}

impl OpenElements {
    /// None is open in the document that begins at `start`.
    pub(super) const fn new(start: Position) -> Self {
        Self {
            names: String::new(),
            begun: Vec::new(),
            start,
        }
    }

    /// An element begins.
    pub(super) fn push(&mut self, name: &str, mark: Mark) {
        self.begun.push((self.names.len(), mark));
        self.names.push_str(&short(name));
    }

    /// The innermost element ends.
    pub(super) fn pop(&mut self) {
        if let Some((start, _)) = self.begun.pop() {
            self.names.truncate(start);
        }
    }

    /// The innermost open element of the document `text`.
    pub(super) fn last(&self, text: &[u8]) -> Option<(&str, Position)> {
        Some((self.name()?, self.place(text)?))
    }

    /// The name of the innermost open element.
    pub(super) fn name(&self) -> Option<&str> {
        let (start, _) = *self.begun.last()?;
        self.names.get(start..)
    }

    /// The place of the innermost open element. Unless it was asked for when the element began, all
    /// lines before it are counted.
    pub(super) fn place(&self, text: &[u8]) -> Option<Position> {
        let (_, mark) = *self.begun.last()?;
        Some(self.places(text).of(mark))
    }

    /// The places in the document `text`.
    pub(super) const fn places<'t>(&self, text: &'t [u8]) -> Places<'t> {
        Places {
            start: self.start,
            text,
        }
    }
}

/// Tells places in a document once it was read.
pub(super) struct Places<'t> {
    start: Position,
    text: &'t [u8],
}

impl Places<'_> {
    /// The place of a mark. Unless it was asked for when the element began, all lines before it are
    /// counted.
    pub(super) fn of(&self, mark: Mark) -> Position {
        mark.at.unwrap_or_else(|| {
            let mut at = self.start;
            at.pass(self.text.get(..mark.offset).unwrap_or_default());
            at
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_element_is_told() {
        let text = b"<a>\n  <b>";
        let mut open = OpenElements::new(Position { line: 5, column: 2 });
        assert_eq!(open.last(text), None);
        open.pop();
        let outer = Position { line: 1, column: 1 };
        let (known, counted) = (Some(outer), None);
        open.push("a", Mark { offset: 0, at: known });
        open.push(
            "b\u{1}",
            Mark {
                offset: 6,
                at: counted,
            },
        );
        assert_eq!(open.last(text), Some((r"b\x01", Position { line: 6, column: 3 })));
        open.pop();
        assert_eq!(open.last(text), Some(("a", outer)));
    }
}
