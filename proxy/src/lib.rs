//! The door-keeper: intercept, identify, judge, answer, account.
//!
//! Read in packet order: [`intercept`] yields an [`arrival`], [`connection`] tells its story,
//! [`world`] is what is known at this moment ([`identify`] says who, [`judge`] asks the law),
//! [`answer`] relays or resets, [`account`] writes it down. [`run`] joins the rooms.
pub mod access;
pub mod account;
pub mod admin;
pub mod answer;
pub mod arrival;
pub mod clerk;
pub mod config;
pub mod connection;
pub mod datagram;
pub mod drain;
pub mod farewell;
pub mod gate;
pub mod hold;
pub mod identify;
pub mod intercept;
pub mod judge;
pub mod kernel;
pub mod live;
mod quota;
pub mod ruling;
pub mod run;
pub mod sys;
pub mod world;
