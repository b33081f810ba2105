//! Which file is read.

use std::path::{Path, PathBuf};

use super::expand::Environment;

/// The name of the file.
pub const FILE_NAME: &str = "crossbridge.yml";

/// The variable that names another file.
pub const FILE_VARIABLE: &str = "CROSSBRIDGE_CONFIG";

/// Where the file is: `explicit`, else what [`FILE_VARIABLE`] says (if it says anything), else
/// [`FILE_NAME`] in `directory` or the nearest directory above it. The first two need not exist, so
/// that a wrong one is an error and not a default.
#[must_use]
pub fn find(explicit: Option<&Path>, environment: Environment<'_>, directory: &Path) -> Option<PathBuf> {
    if let Some(path) = explicit {
        return Some(path.to_owned());
    }
    if let Some(path) = environment(FILE_VARIABLE).filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    directory
        .ancestors()
        .map(|directory| directory.join(FILE_NAME))
        .find(|path| path.is_file())
}
