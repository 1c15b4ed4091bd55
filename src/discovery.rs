//! What the gate says of itself before anybody asks for it: `/offers`, `/openapi.json`, `/llms.txt`,
//! `/.well-known/x402`. The pages that explain problems are `pages::problem`.
//!
//! All of it is made from the same two things: the [`catalogue`] of what the plans in force sell, and the description of
//! the gate's own operations in `discovery/openapi/*.json`. It informs; what holds is the 402 itself.

pub mod catalogue;
pub mod llms;
pub mod openapi;
pub mod well_known;

/// Where a gate stands, as the request that asks saw it.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Scheme and host, such as `https://api.example.com`.
    pub origin: &'a str,
    /// Where the gate's own endpoints stand, such as `/_tollgate`.
    pub prefix: &'a str,
}

impl Site<'_> {
    /// The host, by which the API is called where nobody gave it a name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or(self.origin, |(_, host)| host)
    }
}
