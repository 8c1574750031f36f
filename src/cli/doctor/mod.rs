//! What `keygate doctor` looks at: the file, the deployment, the keys.

mod deployment;
mod keys;
mod settings;

pub(crate) use deployment::{bindings, check_deployment};
pub(crate) use keys::check_keys;
pub(crate) use settings::check_settings;
