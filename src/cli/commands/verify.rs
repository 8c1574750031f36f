//! `keygate verify`: what the gate would answer to a key, by the gate's own code.

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use base64ct::{Base64, Encoding as _};
use clap::Args;
use keygate_core::auth::admission::{Admission, Gate};
use keygate_core::auth::cache::RecordCache;
use keygate_core::auth::decide::{Decision, Destination, LimiterAnswer, Lookup, Permit, QuotaAnswer, decide};
use keygate_core::auth::lookup::{StoreReply, after_store};
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::request::credential::CredentialSources;
use keygate_core::request::head::RequestHead;
use keygate_core::response::{Cause, Code, Denial};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{PepperArgs, StoreArgs};
use crate::context::{self, Context};
use crate::dev_vars::DevVars;
use crate::error::{Error, Outcome};
use crate::gate_bindings::GateBindings;
use crate::imported::read_line;
use crate::output::printable;
use crate::secrets::pepper_texts;
use crate::store::Store;
use crate::wrangler_config::WranglerConfig;

/// Say what the gate would answer to a key, which is read from standard input
#[derive(Args, Debug)]
#[command(
    after_help = "Exit code 0 when the gate would forward the request, 1 when not.\n\nExample:\n  keygate verify --path /v1/reports < key-file"
)]
pub(crate) struct VerifyArgs {
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's path
    #[arg(long, default_value = "/")]
    path: String,
    /// The client's address; without it a rule about addresses refuses
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Stands for the gate's own host, which decides nothing.
const GATE: &str = "https://gate.invalid";

/// What the gate would answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Judgement {
    permitted: bool,
    /// The status and code of the gate's answer; null where the origin answers.
    status: Option<u16>,
    code: Option<&'static str>,
    /// Why, as it would stand in the gate's log.
    cause: Option<String>,
    key_id: Option<String>,
    subject: Option<String>,
    /// Where the request would go.
    destination: Option<String>,
    /// The rate limiter that has a say; the command does not ask it.
    limiter: Option<String>,
    /// What the request costs of which quota; the command does not charge it.
    quota: Option<String>,
}

/// Says what the gate would answer.
pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Outcome<ExitCode> {
    check_path(&args.path)?;
    let config = context.config()?;
    let store = context::store(&config, &args.store)?;
    let judgement = match gate(&config, args)? {
        Ok(gate) => {
            let key = read_line(io::stdin().lock())?;
            evaluate(context, &gate, &*store, args, &key)?
        }
        Err(faults) => refused(&Cause::Misconfigured(faults).into()),
    };
    context.out.result(&judgement, text(&judgement))?;
    if args.ip.is_none() && judgement.code == Some(Code::IpNotAllowed.row().code) {
        context.out.note("no client address was given: add `--ip ADDRESS`");
    }
    if args.store.remote {
        context.out.note(
            "not looked at: the deployed secrets STATIC_KEYS and DENIED_IDS, which cannot be read back",
        );
    }
    Ok(ExitCode::from(u8::from(!judgement.permitted)))
}

/// The gate as its configuration makes it; or why it would answer 503 to everything.
fn gate(config: &WranglerConfig, args: &VerifyArgs) -> Outcome<Result<Gate, String>> {
    let texts = pepper_texts(&args.pepper, config, args.store.remote)?;
    let local = if args.store.remote { None } else { DevVars::of(config)? };
    let secret = |name| local.as_ref()?.value(name);
    let overriding = local.as_ref().map(DevVars::all);
    let policy = GateBindings::with(config, overriding.into_iter().flatten()).policy();
    let secrets = Secrets::parse(&SecretValues {
        pepper: Some(&texts.current),
        pepper_previous: texts.previous.as_ref().map(|text| text.as_str()),
        static_keys: secret("STATIC_KEYS"),
        denied_ids: secret("DENIED_IDS"),
        origin_authorization: secret("ORIGIN_AUTHORIZATION"),
        origin_signing_key: secret("ORIGIN_SIGNING_KEY"),
    });
    Ok(match (policy, secrets) {
        (Ok(policy), Ok(secrets)) => Ok(Gate { policy, secrets }),
        (Err(faults), _) => Err(joined(faults.iter())),
        (_, Err(faults)) => Err(joined(faults.iter())),
    })
}

fn joined<T: ToString>(faults: impl Iterator<Item = T>) -> String {
    faults.map(|error| error.to_string()).collect::<Vec<_>>().join("; ")
}

fn evaluate(
    context: &Context,
    gate: &Gate,
    store: &dyn Store,
    args: &VerifyArgs,
    key: &str,
) -> Outcome<Judgement> {
    let request = Request::carrying(key, gate.policy.credential_sources(), &args.path);
    let address = args.ip.as_deref().unwrap_or_default();
    let credential = request.header.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<_> = credential.into_iter().chain([("cf-connecting-ip", address)]).collect();
    let head = RequestHead { method: &args.method, url: &request.url, header_names: "", headers: &headers };
    let admitted = match gate.admit(&head) {
        Ok(Admission::Proceed(admitted)) => admitted,
        // Without an Origin header there is no preflight.
        Ok(Admission::AnswerPreflight) => return Ok(permitted(None, None, None)),
        Err(denial) => return Ok(refused(&denial)),
    };
    let id = admitted.key_id();
    let record;
    let found = match id {
        None => Lookup::NotNeeded,
        Some(id) => {
            let entry = store.entry(&id.kv_name())?;
            let reply = entry.map_or(StoreReply::Absent, |entry| StoreReply::Found(entry.value));
            let mut no_cache = RecordCache::new(0, 0, 0);
            let now_ms = context.now.seconds().saturating_mul(1000);
            match after_store(&mut no_cache, &gate.secrets, &id, now_ms, reply, Rc::new) {
                Ok(found) => {
                    record = found;
                    Lookup::Found(&record)
                }
                Err(error) => error.into(),
            }
        }
    };
    let mut decision = decide(gate, &admitted, found, context.now);
    let (mut limiter, mut quota) = (None, None);
    // Neither is asked: a question would count against the holder.
    loop {
        decision = match decision {
            Ok(Decision::Permit(permit)) => return Ok(permitted(Some(&permit), limiter, quota)),
            Ok(Decision::Limited(pending)) => {
                limiter = Some(pending.limiter().to_owned());
                pending.settle(LimiterAnswer::Within)
            }
            Ok(Decision::Charged(charged)) => {
                quota = Some(format!("{} of {}", charged.cost(), charged.payer().quota));
                charged.settle(QuotaAnswer::Paid(None)).map(Decision::Permit)
            }
            Err(denial) => return Ok(refused(&denial)),
        }
    }
}

/// A request that carries the key in the first place that the policy allows.
struct Request {
    url: Zeroizing<String>,
    /// The name and the value of the one header that holds the key.
    header: Option<(String, Zeroizing<String>)>,
}

impl Request {
    fn carrying(key: &str, sources: &CredentialSources, path: &str) -> Self {
        let mut request = Self { url: Zeroizing::new(format!("{GATE}{path}")), header: None };
        if sources.bearer() {
            request.header = Some(("authorization".into(), Zeroizing::new(format!("Bearer {key}"))));
        } else if sources.authorization() {
            request.header = Some(("authorization".into(), Zeroizing::new(key.to_owned())));
        } else if let Some(first) = sources.header_names().first() {
            request.header = Some((first.to_string(), Zeroizing::new(key.to_owned())));
        } else if sources.basic() {
            let password = Zeroizing::new(format!(":{key}"));
            let encoded = Zeroizing::new(Base64::encode_string(password.as_bytes()));
            request.header =
                Some(("authorization".into(), Zeroizing::new(format!("Basic {}", encoded.as_str()))));
        } else if let Some(name) = sources.query_name() {
            let joint = if path.contains('?') { '&' } else { '?' };
            let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC);
            request.url = Zeroizing::new(format!("{GATE}{path}{joint}{name}={encoded}"));
        }
        request
    }
}

/// The runtime has resolved and encoded a URL before the gate sees it; so must who asks about one.
fn check_path(path: &str) -> Outcome<()> {
    let url = format!("{GATE}{path}");
    let is_as_sent = |parsed: Url| parsed.as_str() == url && parsed.fragment().is_none();
    // The runtime encodes `^` in a path; `Url` does not.
    let has_caret = path.split('?').next().is_some_and(|path| path.contains('^'));
    if path.starts_with('/') && !has_caret && Url::parse(&url).is_ok_and(is_as_sent) {
        return Ok(());
    }
    Err(Error::usage(
        format!("--path `{}` is not a path as the gate is given it", printable(path)),
        "write it as a browser would send it: beginning with `/`, dot segments resolved, other than plain ASCII percent-encoded, without `#`",
    ))
}

fn refused(denial: &Denial) -> Judgement {
    let row = denial.cause.code().row();
    Judgement {
        permitted: false,
        status: Some(row.status),
        code: Some(row.code),
        cause: Some(denial.cause.reason().into_owned()),
        key_id: denial.key_id.map(|id| id.to_string()),
        subject: denial.subject.as_ref().map(ToString::to_string),
        destination: None,
        limiter: None,
        quota: None,
    }
}

fn permitted(permit: Option<&Permit<'_>>, limiter: Option<String>, quota: Option<String>) -> Judgement {
    let holder = permit.and_then(Permit::holder);
    let destination = permit.map(|permit| match permit.destination() {
        _ if permit.is_whoami() => "the gate itself answers (WHOAMI_PATH)".to_owned(),
        Destination::Url(url) => url.replacen(GATE, "the zone's own origin: ", 1),
        Destination::Service { binding, url } => {
            format!("service binding {binding}: {}", url.replacen(GATE, "", 1))
        }
    });
    Judgement {
        permitted: true,
        status: None,
        code: None,
        cause: None,
        key_id: holder.map(|holder| holder.id.to_string()),
        subject: holder.map(|holder| holder.subject.to_owned()),
        destination,
        limiter,
        quota,
    }
}

fn text(judgement: &Judgement) -> String {
    let Judgement { status, code, cause, key_id, subject, destination, limiter, quota, .. } = judgement;
    let mut lines = Vec::new();
    match (status, code) {
        (Some(status), Some(code)) => lines.push(format!("refused: {status} {code}")),
        _ => lines.push("permitted".to_owned()),
    }
    for (name, value) in [
        ("cause", cause),
        ("key", key_id),
        ("subject", subject),
        ("to", destination),
        ("if the limiter agrees", limiter),
        ("if the quota has it", quota),
    ] {
        if let Some(value) = value {
            lines.push(format!("{name}: {}", printable(value)));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn a_path_is_taken_only_as_the_runtime_would_write_it() {
        for good in ["/", "/v1/reports", "/a%2Fb", "//a", "/a?x=../b&y=%zz", "/a/.../b", "/a;x=1/b"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "v1",
            "/a/../b",
            "/a/.",
            "/%2e%2E/a",
            "/a b",
            "/é",
            "/a#b",
            "/a\\b",
            "https://gate.invalid/",
            "/a\nb",
            "/a^b",
            "/a{b}",
            "/a?\"b",
        ] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
