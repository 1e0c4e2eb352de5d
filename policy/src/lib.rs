//! The law: what Kubernetes NetworkPolicy says of one flow.
//!
//! Pure: no async, no socket, no clock, no Kubernetes client. The paved path is
//! [`document::read`] -> [`compile::compile`] -> [`compiled::Table::matching`] ->
//! [`decide::decide`], and after a denial [`explain::misses`].
//!
//! Start at [`decide`]; [`reference`](mod@reference) is the same law in the words of the API, never
//! optimised, against which the tests hold it.

pub mod cidr;
pub mod cluster;
pub mod compile;
pub mod compiled;
pub mod decide;
pub mod diagnostic;
pub mod document;
pub mod explain;
pub mod flow;
pub mod labels;
pub mod object;
pub mod peer;
pub mod reference;
mod rule_set;
#[cfg(test)]
mod samples;
mod segments;
pub mod selector;
pub mod spec;
pub mod verdict;
