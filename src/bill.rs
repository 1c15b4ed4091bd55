//! What use adds up to.

pub mod report;
pub mod summary;
pub mod tally;
pub mod usage;
