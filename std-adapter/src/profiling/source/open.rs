//! The open elements of an XML document: their names and where they began.

use super::failure::short;
use super::tap::Position;

/// A stack of elements. Their names share one text, so that an element costs no allocation.
#[derive(Debug, Default)]
pub(super) struct OpenElements {
    names: String,
    /// Where in `names` the name begins, and where in the file the element does.
    begun: Vec<(usize, Position)>,
}

impl OpenElements {
    /// An element begins.
    pub(super) fn push(&mut self, name: &str, at: Position) {
        self.begun.push((self.names.len(), at));
        self.names.push_str(&short(name));
    }

    /// The innermost element ends; where it began.
    pub(super) fn pop(&mut self) -> Option<Position> {
        let (start, at) = self.begun.pop()?;
        self.names.truncate(start);
        Some(at)
    }

    /// The innermost open element.
    pub(super) fn last(&self) -> Option<(&str, Position)> {
        let (start, at) = *self.begun.last()?;
        Some((self.names.get(start..)?, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_element_is_told() {
        let mut open = OpenElements::default();
        assert_eq!(open.last(), None);
        assert_eq!(open.pop(), None);
        let (outer, inner) = (Position::START, Position { line: 2, column: 3 });
        open.push("a", outer);
        open.push("b\u{1}", inner);
        assert_eq!(open.last(), Some((r"b\x01", inner)));
        assert_eq!(open.pop(), Some(inner));
        assert_eq!(open.last(), Some(("a", outer)));
    }
}
