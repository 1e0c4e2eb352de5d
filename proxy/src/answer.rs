//! The answer: a connection is relayed to the application or reset.
//!
//! May enter: sockets, the original destination, byte counts. Deliberately absent: who asks and
//! whether it may; the question is settled by then. Whatever is not ended in order here is reset,
//! also when a task is dropped midway.
//!
//! Start at [`relay`].

pub mod caller;
mod direction;
pub mod leg;
pub mod pipe;
pub mod relay;
pub mod session;
pub mod upstream;
