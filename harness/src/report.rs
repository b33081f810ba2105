//! What people and programs read: a page of text, or JSON.

mod lanes;
mod story;
pub mod text;
