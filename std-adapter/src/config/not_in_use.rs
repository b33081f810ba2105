//! What a file says to no effect.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::key_path::KeyPath;

/// A key that is accepted and does nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInUse {
    /// The key.
    pub path: KeyPath,
    /// Why it does nothing.
    pub why: &'static str,
}

impl NotInUse {
    pub(super) const fn new(path: KeyPath, why: &'static str) -> Self {
        Self { path, why }
    }
}

impl Serialize for NotInUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("NotInUse", 2)?;
        object.serialize_field("path", &self.path.to_string())?;
        object.serialize_field("why", self.why)?;
        object.end()
    }
}
