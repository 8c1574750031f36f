//! How far a long command is, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A count on standard error that is gone when the command ends; nothing where standard error is no terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// `what` has been done to how many keys, of how many if that is known.
    pub(crate) fn counting(what: &'static str, total: Option<usize>) -> Self {
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total as u64), "{prefix} {pos} of {len} {bar:30} {eta}"),
            None => (ProgressBar::no_length(), "{prefix} {pos} {spinner}"),
        };
        // The templates are constants; one that were wrong would leave the default style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        // From now on another thread draws it.
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.inc(count as u64);
    }

    /// Says something without the count in the middle of it.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        self.0.suspend(say);
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
