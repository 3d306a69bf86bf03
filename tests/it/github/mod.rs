//! `mcpgate github`: what decides, and what is said where, against GitHub on the loopback.

mod act;
mod action;
mod compares;
mod contract;
mod decides;
mod drifts;
mod hub;
mod job;
mod peers;
mod refreshes;
mod renders;
mod says;
