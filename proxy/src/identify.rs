//! Who is behind an address: the index of pods, and the feeds that keep it true.
//!
//! May enter: [`Change`](feed::Change)s, the same whatever their source. Deliberately absent: rules
//! and verdicts, which are [`judge`](crate::judge)'s; the wait for a pod that is not known yet, which
//! is the connection's.
//!
//! Start at [`index`], which is pure; [`feed`] is how the world's changes come in.

pub mod feed;
pub mod index;
