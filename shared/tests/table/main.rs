//! The table room against a real engine: what operations cost, what survives faults, what survives a race.

mod budgets;
mod cascade;
mod faults;
mod races;
mod timeline;
