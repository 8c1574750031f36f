//! One room for each command.

pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod issue;
pub(crate) mod list;
pub(crate) mod pepper;
pub(crate) mod rotate;
pub(crate) mod show;
pub(crate) mod verify;
