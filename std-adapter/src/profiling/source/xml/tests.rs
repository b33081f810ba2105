use std::fmt::Write as _;
use std::io::{self, BufReader, Read};

use super::*;
use crate::profiling::source::input::Input;

/// Writes down what it is told.
#[derive(Default)]
struct Written {
    told: String,
    open: u64,
    /// Of the elements whose places were not asked for.
    marks: Vec<Mark>,
}

impl Walk for Written {
    fn start(&mut self, here: &mut Here<'_, '_>, tag: &BytesStart<'_>) -> Result<(), Problem> {
        // The places of some are not asked for.
        if tag.name().into_inner() != "b" {
            write!(self.told, "{} ", here.at()).unwrap();
        } else {
            self.marks.push(here.mark());
        }
        write!(self.told, "<{}> ", tag.as_ref()).unwrap();
        if let Some((name, at)) = here.outer().zip(here.outer_at()) {
            write!(self.told, "in {name} {at} ").unwrap();
        }
        self.open += 1;
        Ok(())
    }

    fn text(&mut self, raw: &str) -> Result<(), Problem> {
        write!(self.told, "{raw:?} ").unwrap();
        Ok(())
    }

    fn close(&mut self) {
        self.open -= 1;
        self.told.push_str("</> ");
    }

    fn end(&mut self, places: &Places<'_>) -> Result<(), Problem> {
        for mark in &self.marks {
            write!(self.told, "at {} ", places.of(*mark)).unwrap();
        }
        Ok(())
    }

    fn complete_tests(&self) -> Option<u64> {
        Some(self.open)
    }
}

fn told(input: impl Read, limit: u64) -> String {
    let mut written = Written::default();
    // Small buffers: tokens end anywhere in them.
    let tap = Tap::new(Input::as_it_is(BufReader::with_capacity(5, input)));
    match walk_within(tap, &mut written, limit) {
        Ok(fingerprint) => format!("{} {fingerprint:?}", written.told),
        Err(failure) => format!("{} {}", written.told, failure.of("x")),
    }
}

const SMALL: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<!DOCTYPE a>\n<a b='1'\n  c='&lt;'>\n\
    <!-- - -->t&amp;u &#10;<?p i?><empty/>\n<![CDATA[<]]>é<b><c d='>'/></b>\n</a>\n";

#[test]
fn a_stream_says_what_memory_says() {
    let text = SMALL.as_bytes();
    for cut in 0..=text.len() {
        // The file breaks off, has a byte that is no text, or ends a tag where none is open.
        for more in [&b""[..], b"\xff>", b"</x>", b"&nosuch;", b"<e", b"&"] {
            let part = [text.get(..cut).unwrap(), more].concat();
            let whole = told(&part[..], IN_MEMORY);
            for limit in [1, 40] {
                assert_eq!(
                    told(&part[..], limit),
                    whole,
                    "cut at {cut} and {more:?}, {limit} bytes in memory"
                );
            }
        }
    }
    let hash = Fingerprint::of(text);
    assert_eq!(
        told(text, IN_MEMORY),
        format!(
            r#""\n" "\n" 3:1 <a b='1'{}  c='&lt;'> "\n" "t" "&" "u " "\n" 5:31 <empty> in a 3:1 </> "\n" "<" "é" <b> in a 3:1 6:19 <c d='>'> in b 6:16 </> </> "\n" </> "\n" at 6:16  Some({hash:?})"#,
            '\n'
        )
    );
}

#[test]
fn a_reader_that_fails_does_so_where_it_fails() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _out: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    for limit in [1, 12, IN_MEMORY] {
        assert_eq!(
            told((&b"<a>\n<b/> <c"[..]).chain(Broken), limit),
            "1:1 <a> \"\\n\" <b> in a 1:1 </> \" \"  x:2:6: cannot be read; 1 complete tests before it, none of them taken over"
        );
    }
}
