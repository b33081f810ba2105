//! Retries upon retries, where paths call one another.

use super::super::Config;

/// The most attempts that one call can come to.
///
/// A layer does not try again what the one below it gave up on, unless its retry policy says
/// `retry_exhausted`: so the worst is one layer alone, or all that say so above one that need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// In all.
    pub attempts: u64,
    /// The paths whose attempts multiply, and how many each makes.
    pub paths: Vec<(String, u32)>,
}

impl Config {
    /// The most attempts that one call can come to, however paths call one another, each at most once.
    ///
    /// ```
    /// use crossbridge_std::config::Config;
    ///
    /// // Of the built-in policies `expensive` makes the most attempts, and no layer multiplies them.
    /// assert_eq!(Config::default().layers().attempts, 5);
    /// ```
    #[must_use]
    pub fn layers(&self) -> Layers {
        let attempts = |path: &super::CallPath| (path.name.clone(), path.guard.retry.attempts);
        let (stubborn, others): (Vec<_>, Vec<_>) = self
            .paths()
            .filter(|path| path.guard.retry.attempts > 0)
            .partition(|path| path.guard.retry.retry_exhausted && path.guard.retry.attempts > 1);
        // Of equals the first by name.
        let most = |one: &&super::CallPath, other: &&super::CallPath| {
            let by_attempts = one.guard.retry.attempts.cmp(&other.guard.retry.attempts);
            by_attempts.then_with(|| other.name.cmp(&one.name))
        };
        let lowest = others.into_iter().max_by(most);
        let lowest = lowest.filter(|path| stubborn.is_empty() || path.guard.retry.attempts > 1);
        let paths: Vec<(String, u32)> = stubborn.into_iter().chain(lowest).map(attempts).collect();
        let product = paths.iter().fold(1_u64, |product, (_, attempts)| {
            product.saturating_mul(u64::from(*attempts))
        });
        Layers {
            attempts: product,
            paths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Document;
    use super::*;

    fn layers(text: &str) -> Layers {
        let document = Document::parse("demo.yml", text).expect("YAML");
        Config::from_document(&document, &|_| None)
            .expect("a configuration")
            .layers()
    }

    #[test]
    fn layers_multiply_where_they_say_so() {
        let text = "\
runtime:
  retry: { policies: { stubborn: { max_attempts: 3, retry_exhausted: true }, plain: { max_attempts: 6 } } }
  paths: { a: { retry: stubborn }, b: { retry: stubborn }, c: { retry: plain } }
";
        let found = layers(text);
        assert_eq!(found.attempts, 3 * 3 * 6);
        let names: Vec<_> = found.paths.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn one_layer_alone_is_the_worst_otherwise() {
        let found = layers("runtime: { paths: { a: { retry: conservative } } }");
        assert_eq!((found.attempts, found.paths.len()), (5, 1));
    }
}
