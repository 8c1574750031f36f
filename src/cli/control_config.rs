//! Wrangler's file of the control Worker, for messages.

use std::path::Path;

use crate::wrangler_config::WranglerConfig;

/// Where `keygate init` puts it, beside the gate's.
const OF_INIT: &str = "control/wrangler.jsonc";

/// The file itself if it is the one at hand, else the one that `keygate init` made, else that of this repository.
pub(crate) fn control_config(config: &WranglerConfig) -> String {
    if config.setting("exports").is_some() {
        config.name().to_owned()
    } else if is_of_init(config) {
        Path::new(config.name()).with_file_name(OF_INIT).display().to_string()
    } else {
        "src/control/wrangler.toml".to_owned()
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
