//! `keygate pepper`: a new pepper.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use keygate_core::pepper::Pepper;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::fault::{Fault, Outcome};
use crate::key_source::entropy;
use crate::output::Output;

#[derive(Serialize)]
struct Made<'p> {
    pepper: &'p str,
    id: &'p str,
}

/// Prints 32 random bytes as 43 base64url characters.
pub(crate) fn run(out: Output) -> Outcome<()> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy(bytes.as_mut_slice())?;
    let text = Zeroizing::new(Base64UrlUnpadded::encode_string(bytes.as_slice()));
    let pepper = Pepper::parse(&text).map_err(|e| {
        // 32 random bytes with fewer than 10 different characters do not happen; a broken generator might.
        Fault::failed(
            format!("the pepper {e}"),
            "the system's random number generator is broken; use another machine",
        )
    })?;
    let id = pepper.id();
    out.result(&Made { pepper: &text, id: id.as_str() }, text.as_str())?;
    out.note(format_args!(
        "pepper {id}: keep a copy in your secret manager; without it no key can be checked\n\
         deployed: wrangler secret put PEPPER\n\
         local:    PEPPER=… in .dev.vars beside wrangler.toml, not in version control"
    ));
    Ok(())
}
