//! A module for each command: its options, and what it does.

pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod issue;
pub(crate) mod list;
pub(crate) mod manual;
pub(crate) mod pepper;
pub(crate) mod retire;
pub(crate) mod rotate;
pub(crate) mod scanner_rules;
pub(crate) mod show;
pub(crate) mod upgrade;
pub(crate) mod usage;
pub(crate) mod verify;
