//! The warnings of a day, as a webhook.
//!
//! The cron calls the one object, which finds out what there is to tell, stores it, and sends it. Its alarm tries again what has failed.

mod keys;
#[expect(missing_docs, reason = "`durable_object` writes methods without")]
mod object;
mod post;

use js_sys::Reflect;
use worker::{Env, Response, Result};

pub use object::WarningsObject;

/// The binding of the control Worker to its own object.
const WARNINGS: &str = "WARNINGS";
const OBJECT: &str = "warnings";

/// What the cron does.
///
/// # Errors
/// The runtime's.
pub(crate) async fn run(env: &Env) -> Result<Response> {
    let object = env.durable_object(WARNINGS)?.get_by_name(OBJECT)?;
    object.fetch_with_str("https://warnings/run").await
}

/// A variable or secret as a string: in wrangler.toml, a number or a boolean may stand without quotes.
pub(crate) fn variable(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok()?;
    let number = || value.as_f64().map(|number| number.to_string());
    let boolean = || value.as_bool().map(|boolean| boolean.to_string());
    value.as_string().or_else(number).or_else(boolean)
}
