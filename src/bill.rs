//! What use adds up to.

pub mod summary;
pub mod usage;
