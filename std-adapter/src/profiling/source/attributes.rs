//! The attributes of one tag of XML.

use std::borrow::Cow;
use std::collections::HashSet;
use std::marker::PhantomData;

use quick_xml::events::BytesStart;

use super::text;
use crate::profiling::event::MAX_QUOTED;

/// The attributes that are read of a kind of report: see [`wanted!`].
pub(super) trait Wanted: Copy {
    /// The one of this name.
    fn of(name: &str) -> Option<Self>;

    /// Its name.
    fn name(self) -> &'static str;

    /// A number of its own, below [`MOST`].
    fn place(self) -> usize;
}

/// How many attributes are read of a kind of report, at most.
pub(super) const MOST: usize = 16;

/// An enum of attributes, found by their names without comparing them one by one.
macro_rules! wanted {
    ($(#[$doc:meta])* $kind:ident { $($variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(super) enum $kind {
            $($variant,)*
        }

        impl $crate::profiling::source::attributes::Wanted for $kind {
            fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn place(self) -> usize {
                const { assert!([$($name),*].len() <= $crate::profiling::source::attributes::MOST) };
                self as usize
            }
        }
    };
}

pub(super) use wanted;

/// The attributes of a tag that mean something to us, unescaped, and what was odd about them.
#[derive(Debug)]
pub(super) struct Attributes<'t, W> {
    values: [Option<Cow<'t, str>>; MOST],
    /// What is odd about the values.
    pub(super) odd: Vec<String>,
    wanted: PhantomData<W>,
}

impl<'t, W: Wanted> Attributes<'t, W> {
    /// None so far.
    pub(super) const fn new() -> Self {
        Self {
            values: [const { None }; MOST],
            odd: Vec::new(),
            wanted: PhantomData,
        }
    }

    /// Reads all attributes of a tag and keeps those that are wanted. Once, and in place: moving them
    /// takes as long as reading them.
    ///
    /// # Errors
    ///
    /// What is not well formed about them: syntax, one given twice, an unknown entity.
    pub(super) fn read(&mut self, tag: &'t BytesStart<'_>) -> Result<(), String> {
        let mut others = Names::default();
        let mut list = tag.attributes();
        // Its own check for duplicates compares each with each.
        list.with_checks(false);
        for attribute in list {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.into_inner();
            let wanted = W::of(name);
            let mut slot = wanted.and_then(|wanted| self.values.get_mut(wanted.place()));
            let first = slot
                .as_ref()
                .map_or_else(|| others.insert(name), |slot| slot.is_none());
            if !first {
                return Err(format!("attribute `{}` is given twice", short(name)));
            }
            // Most values of most files are plain.
            let value = if text::is_plain(&attribute.value) {
                attribute.value
            } else {
                let (value, replaced) = unescape(attribute.value)
                    .map_err(|reason| format!("attribute `{}`: {reason}", short(name)))?;
                if let Some(wanted) = wanted.filter(|_| replaced) {
                    self.odd.push(format!(
                        "`{}` refers to a character that XML does not have; replaced",
                        wanted.name()
                    ));
                }
                value
            };
            if let Some(slot) = &mut slot {
                **slot = Some(value);
            }
        }
        Ok(())
    }

    /// The value of one, taken out.
    pub(super) fn take(&mut self, wanted: W) -> Option<Cow<'t, str>> {
        self.values.get_mut(wanted.place())?.take()
    }

    /// The same as a text of its own.
    pub(super) fn take_owned(&mut self, wanted: W) -> Option<String> {
        self.take(wanted).map(Cow::into_owned)
    }
}

fn short(name: &str) -> String {
    name.chars().take(MAX_QUOTED).collect()
}

/// A value as it was meant, borrowed where that is how it was written.
fn unescape(raw: Cow<'_, str>) -> Result<(Cow<'_, str>, bool), String> {
    match raw {
        Cow::Borrowed(raw) => text::unescape(raw),
        Cow::Owned(raw) => text::unescape(&raw).map(|(value, odd)| (value.into_owned().into(), odd)),
    }
}

/// Other names seen in one tag: a few are compared with each other, many are hashed.
#[derive(Default)]
struct Names<'t> {
    few: [&'t str; FEW],
    count: usize,
    more: HashSet<&'t str>,
}

impl<'t> Names<'t> {
    /// Whether it was not there yet.
    fn insert(&mut self, name: &'t str) -> bool {
        if self.few.iter().take(self.count).any(|seen| *seen == name) {
            return false;
        }
        match self.few.get_mut(self.count) {
            Some(place) => {
                *place = name;
                self.count += 1;
                true
            }
            None => self.more.insert(name),
        }
    }
}

/// A tag has no more that we do not read where nobody means harm.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    wanted! {
        One { Name = "name", }
    }

    /// The value of `name`.
    fn read(tag: String) -> Result<Option<String>, String> {
        let tag = BytesStart::from_content(tag, 1);
        let mut read = Attributes::new();
        read.read(&tag)?;
        let name = read.take_owned(One::Name);
        assert_eq!(read.take(One::Name), None);
        Ok(name)
    }

    #[test]
    fn one_given_twice_is_found_among_few_and_among_many() {
        for count in [1, FEW - 1, FEW, FEW + 1, 200] {
            let list: String = (0..count).map(|number| format!(" a{number}='v'")).collect();
            assert_eq!(
                read(format!("t{list} name='x'")),
                Ok(Some("x".to_owned())),
                "{count}"
            );
            for name in ["a0".to_owned(), format!("a{}", count - 1), "name".to_owned()] {
                let error = read(format!("t name='x'{list} {name}='v'")).unwrap_err();
                assert_eq!(error, format!("attribute `{name}` is given twice"));
            }
        }
    }

    #[test]
    fn references_are_replaced_and_checked_where_nobody_reads_them() {
        let name = read("t name='a &lt; b' other='&amp;'".to_owned());
        assert_eq!(name, Ok(Some("a < b".to_owned())));
        assert!(read("t other='&nosuch;'".to_owned()).is_err());
    }
}
