//! The door-keeper: intercept, identify, judge, answer, account.
//!
//! Read in packet order: [`intercept`] yields an [`arrival`], [`connection`] tells its story,
//! [`world`] is what is known at this moment ([`identify`] says who, [`judge`] asks the law),
//! [`answer`] relays or resets, [`account`] writes it down. [`run`] joins the rooms.
pub mod account;
pub mod arrival;
pub mod farewell;
pub mod ruling;
pub mod config;
pub mod identify;
pub mod judge;
pub mod world;
pub mod answer;
pub mod connection;
pub mod hold;
pub mod intercept;
pub mod live;
pub mod sys;
pub mod admin;
pub mod drain;
pub mod run;
