//! Wrangler's file of the control Worker.

use std::path::{Path, PathBuf};

use crate::wrangler_config::WranglerConfig;

/// Where `keygate init` puts it, beside the gate's.
const OF_INIT: &str = "control/wrangler.jsonc";

/// Where this repository has it.
const OF_REPOSITORY: &str = "src/control/wrangler.toml";

/// The file that belongs to the gate's, if there is one.
pub(crate) fn control_file(gate: &WranglerConfig) -> Option<PathBuf> {
    let beside_gate = |name| Path::new(gate.name()).with_file_name(name);
    [OF_INIT, OF_REPOSITORY].map(beside_gate).into_iter().find(|file| file.is_file())
}

/// The file for messages: itself if it is the one at hand, else the one that `keygate init` made, else that of this repository.
pub(crate) fn control_config(config: &WranglerConfig) -> String {
    if config.setting("exports").is_some() {
        config.name().to_owned()
    } else if is_of_init(config) {
        Path::new(config.name()).with_file_name(OF_INIT).display().to_string()
    } else {
        OF_REPOSITORY.to_owned()
    }
}

/// What runs both Workers on this machine.
pub(crate) fn dev_command(config: &WranglerConfig) -> String {
    if is_of_init(config) {
        return "npm run dev".to_owned();
    }
    format!("wrangler dev -c {} -c {}", config.name(), control_config(config))
}

fn is_of_init(config: &WranglerConfig) -> bool {
    config.folder().join(OF_INIT).is_file()
}
