//! Several words change as one.

use loom::sync::Arc;

use crate::sync::Sequenced;
use crate::together;

/// Two words whose difference tells a torn reading.
fn shared() -> Arc<Sequenced<2>> {
    let words = Arc::new(Sequenced::new([0, 100]));
    assert_eq!(words.read(), [0, 100]);
    words
}

fn add_one(words: &Sequenced<2>) -> u64 {
    words.update(|[one, other]| {
        *one += 1;
        *other += 1;
        *one
    })
}

#[test]
fn no_update_is_lost() {
    loom::model(|| {
        let words = shared();
        let mut said = together::<2, _, _>(&words, |words, _| add_one(words));
        said.sort_unstable();
        assert_eq!(said, [1, 2], "each saw what the other had done, or was first");
        assert_eq!(words.read(), [2, 102]);
    });
}

#[test]
fn a_reader_sees_words_that_belong_together() {
    loom::model(|| {
        let words = shared();
        let said = together::<2, _, _>(&words, |words, which| {
            if which == 0 {
                return add_one(words);
            }
            let [one, other] = words.read();
            assert_eq!(other, one + 100, "torn");
            let [later, other] = words.read();
            assert_eq!(other, later + 100, "torn");
            assert!(later >= one, "time runs forward");
            later
        });
        assert!(said[1] <= 1);
    });
}

/// A question that one word answers sees everything that went before the answer.
#[test]
fn a_word_publishes_what_was_written_before_it() {
    loom::model(|| {
        let words = shared();
        together::<2, _, _>(&words, |words, which| {
            if which == 0 {
                add_one(words);
            } else if words.word::<1>() == 101 {
                assert_eq!(words.word::<0>(), 1);
            }
        });
    });
}
