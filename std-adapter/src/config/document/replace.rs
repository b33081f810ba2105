//! Another value in a document.

use serde_yaml_ng::Value;

use crate::config::build;
use crate::config::error::Problem;
use crate::config::key_path::{KeyPath, Segment};

/// Puts `value` at `path`; all but the last key has to be there.
pub(super) fn replace(root: &mut Value, path: &KeyPath, value: Value) -> Result<(), Box<Problem>> {
    let mut place = root;
    let mut here = KeyPath::root();
    for (step, segment) in path.segments().iter().enumerate() {
        let last = step + 1 == path.segments().len();
        let next = here.with(segment.clone());
        place = match (segment, place) {
            (Segment::Key(key), Value::Mapping(mapping)) => {
                let known: Vec<String> = mapping.keys().map(build::key_text).collect();
                let Some(at) = known.iter().position(|name| name == key) else {
                    if last {
                        mapping.insert(Value::String(key.clone()), value);
                        return Ok(());
                    }
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    return Err(Box::new(Problem::unknown_key(next, key, &known)));
                };
                let Some((_, inner)) = mapping.iter_mut().nth(at) else {
                    return Ok(());
                };
                inner
            }
            (Segment::Index(index), Value::Sequence(list)) => {
                let expected = format!("one of the {} there are, counted from 0", list.len());
                let Some(inner) = list.get_mut(*index) else {
                    let problem = Problem::new(here, format!("there is no `{next}`"));
                    return Err(Box::new(problem.expected(expected)));
                };
                inner
            }
            (Segment::Key(_), _) => {
                let problem = Problem::new(here, format!("there is no `{next}`"));
                return Err(Box::new(problem.expected("a mapping to put it into")));
            }
            (Segment::Index(_), _) => {
                let problem = Problem::new(here, format!("there is no `{next}`"));
                return Err(Box::new(problem.expected("a list")));
            }
        };
        here = next;
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;

    #[test]
    fn a_value_is_replaced_where_it_is_or_said_why_not() {
        let text = "a:\n  b: [1, { c: 2 }]\n  d: x\n";
        let mut document = Document::parse("t.yml", text).expect("YAML");
        let path = |text: &str| text.parse::<KeyPath>().expect("a path");
        for (at, new) in [("a.b[1].c", 3), ("a.d", 4), ("a.new", 5), ("a.b[0]", 6)] {
            document.set(&path(at), new.into()).expect("it is there");
            assert_eq!(document.get(&path(at)), Some(&Value::from(new)), "{at}");
        }
        // The place is that of what was replaced.
        let refused = document.section::<u8>(&path("a.b[1].c"), &|_| None);
        assert_eq!(refused.ok(), Some(3));
        let refused = document.error(vec![Problem::new(path("a.d"), "bad")]);
        assert!(refused.to_string().starts_with("t.yml:3:6: bad"), "{refused}");
        for (at, told) in [
            ("x.y", "t.yml:1:1: unknown key `x`"),
            ("a.b[2]", "t.yml:2:6: there is no `a.b[2]`"),
            ("a.d.e", "t.yml:3:6: there is no `a.d.e`"),
            ("a[0]", "t.yml:2:3: there is no `a[0]`"),
        ] {
            let refused = document.set(&path(at), 1.into()).expect_err(at).to_string();
            assert!(refused.starts_with(told), "{at}: {refused}");
        }
    }
}
