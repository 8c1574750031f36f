//! The gate's own answers.

pub mod denial;
