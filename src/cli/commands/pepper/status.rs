//! `keygate pepper status`: how far a rotation of the pepper is, and the command that comes next.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use keygate_core::key::pepper::Peppers;
use keygate_core::time::UnixSeconds;
use serde::Serialize;

use crate::args::{PepperArgs, StoreArgs};
use crate::commands::pepper::dependents::{Dependents, Stage, dependents, stage};
use crate::commands::pepper::shell;
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::secrets::{self, PREVIOUS_FROM_VARIABLE, PREVIOUS_VARIABLE, Source};
use crate::static_keys;
use crate::time::utc;

/// Say how far a rotation of the pepper is, and what comes next
#[derive(Args, Debug)]
#[command(
    after_help = "The peppers that are known come from --pepper-file, --pepper-from or KEYGATE_PEPPER (or KEYGATE_PEPPER_FROM), KEYGATE_PEPPER_PREVIOUS (or KEYGATE_PEPPER_PREVIOUS_FROM) and (local only) .dev.vars or .env; which keys depend on which, from their records.\n\nExit code 0 when there is nothing to do, 1 when there is.\n\nExample:\n  keygate pepper status --remote"
)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// What is there.
pub(super) struct Seen {
    pub(super) current: String,
    pub(super) previous: Option<String>,
    /// Where the current one was found.
    pub(super) source: Source,
    /// Where the previous one was found.
    pub(super) previous_source: Option<Source>,
    pub(super) stage: Stage,
    found: BTreeMap<String, Dependents>,
    without_pepper: usize,
    /// Whether the deployed gate has the secret `PEPPER_PREVIOUS`; none where that could not be seen.
    pub(super) bound: Option<bool>,
    remote: bool,
    environment: Option<String>,
}

/// How far a rotation of the pepper is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Status<'s> {
    stage: Stage,
    current: &'s str,
    previous: Option<&'s str>,
    previous_is_set: Option<bool>,
    keys: &'s BTreeMap<String, Dependents>,
    imported_without_pepper: usize,
    next: &'s [String],
}

/// Says how far it is. Done is success.
pub(super) fn run(context: &Context, args: &StatusArgs) -> Outcome<ExitCode> {
    let seen = Seen::look(context, &args.pepper, &args.store)?;
    seen.say(context)?;
    Ok(ExitCode::from(u8::from(!seen.is_done())))
}

impl Seen {
    /// # Errors
    /// There is no pepper, or the store could not be asked.
    pub(super) fn look(context: &Context, pepper: &PepperArgs, store: &StoreArgs) -> Outcome<Self> {
        let config = context.config()?;
        let found = secrets::peppers(pepper, &config, store.remote)?;
        let more = if store.remote { Vec::new() } else { static_keys::local(&config)? };
        let kv = context::store(&config, store)?;
        // What may not be looked at is said.
        let bound = kv.gate_has("PEPPER_PREVIOUS").unwrap_or_else(|error| {
            context.out.note(format_args!("not looked at: {}", error.problem()));
            None
        });
        let keys = dependents(&*kv, &more, context.now)?;
        let Peppers { current, previous } = &found.peppers;
        let (current, previous) = (current.id().to_string(), previous.as_ref().map(|p| p.id().to_string()));
        Ok(Self {
            stage: stage(&current, previous.as_deref(), &keys.by_pepper),
            current,
            previous,
            source: found.source,
            previous_source: found.previous_source,
            found: keys.by_pepper,
            without_pepper: keys.without_pepper,
            bound,
            remote: store.remote,
            environment: config.environment().map(str::to_owned),
        })
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Settled && self.bound != Some(true) && self.without_pepper == 0
    }

    /// The options that lead every command to the same gate.
    pub(super) fn options(&self) -> String {
        let remote = if self.remote { " --remote" } else { "" };
        format!("{remote}{}", self.wrangler_options())
    }

    pub(super) fn wrangler_options(&self) -> String {
        self.environment.as_ref().map(|name| format!(" --env {name}")).unwrap_or_default()
    }

    /// The commands that come next, in their order.
    pub(super) fn next(&self) -> Vec<String> {
        let mut next = self.next_of_rotation();
        if self.without_pepper > 0 {
            let pepper = shell::option(&self.source);
            next.push(format!("keygate pepper apply{}{pepper}", self.options()));
        }
        next
    }

    fn next_of_rotation(&self) -> Vec<String> {
        let options = self.options();
        let pepper = shell::option(&self.source);
        let status = format!("keygate pepper status{options}{pepper}");
        let unset = match &self.previous_source {
            Some(Source::Store { named_by, .. }) => format!("unset {named_by}"),
            _ => format!("unset {PREVIOUS_VARIABLE}"),
        };
        let previous = self.previous.as_deref().unwrap_or_default();
        let wrangler = self.wrangler_options();
        match (self.stage, self.bound) {
            (Stage::Settled, Some(true)) => {
                vec![
                    format!("export {PREVIOUS_VARIABLE}=…   # the text of the secret PEPPER_PREVIOUS"),
                    status,
                ]
            }
            (Stage::Settled, _) => Vec::new(),
            // Both variables at once are refused.
            (Stage::Unknown, _) if matches!(self.previous_source, Some(Source::Store { .. })) => {
                vec![format!("export {PREVIOUS_FROM_VARIABLE}=…   # the place of that pepper"), status]
            }
            (Stage::Unknown, _) => vec![
                format!("export {PREVIOUS_VARIABLE}=…   # the text of that pepper, from your secret manager"),
                status,
            ],
            (Stage::Rotating | Stage::Waiting, Some(false)) => {
                let variable = Source::Variable(PREVIOUS_VARIABLE);
                let source = self.previous_source.as_ref().unwrap_or(&variable);
                vec![shell::into(source, &format!("wrangler secret put PEPPER_PREVIOUS{wrangler}")), status]
            }
            (Stage::Rotating, _) => {
                vec![
                    format!(
                        "keygate rotate --all-older-than 0 --made-with {previous} --to URI{options}{pepper}"
                    ),
                    status,
                ]
            }
            (Stage::Waiting, _) => vec![status],
            (Stage::Droppable, Some(false)) => vec![unset, status],
            (Stage::Droppable, _) if self.remote => {
                vec![format!("wrangler secret delete PEPPER_PREVIOUS{wrangler}"), unset, status]
            }
            (Stage::Droppable, _) => vec![format!("keygate pepper rotate{options}")],
        }
    }

    /// # Errors
    /// Standard output is closed or full.
    pub(super) fn say(&self, context: &Context) -> Outcome<()> {
        let next = self.next();
        let status = Status {
            stage: self.stage,
            current: &self.current,
            previous: self.previous.as_deref(),
            previous_is_set: self.bound,
            keys: &self.found,
            imported_without_pepper: self.without_pepper,
            next: &next,
        };
        context.out.result(&status, self.text(&next))?;
        if self.remote {
            context.out.note("not looked at: the deployed secret STATIC_KEYS, which cannot be read back; its keys depend on peppers too");
        }
        Ok(())
    }

    fn text(&self, next: &[String]) -> String {
        let mut lines =
            vec![self.sentence(), format!("current   {}  {}", self.current, self.keys_of(&self.current))];
        if let Some(previous) = &self.previous {
            lines.push(format!("previous  {previous}  {}", self.keys_of(previous)));
        }
        for pepper in self.found.keys().filter(|p| **p != self.current && self.previous.as_ref() != Some(*p))
        {
            lines.push(format!("unknown   {pepper}  {}", self.keys_of(pepper)));
        }
        if self.without_pepper > 0 {
            lines.push(format!(
                "none      -         {} imported keys, whose digests can be guessed at by whoever reads them",
                self.without_pepper
            ));
        }
        if !next.is_empty() {
            lines.push("next:".to_owned());
        }
        lines.extend(next.iter().map(|command| format!("  {command}")));
        lines.join("\n")
    }

    fn keys_of(&self, pepper: &str) -> String {
        let none = Dependents::default();
        let Dependents { lasting, ending, until } = self.found.get(pepper).unwrap_or(&none);
        let until = until.and_then(UnixSeconds::new).map(|end| format!(", the last at {}", utc(end)));
        let ending = match until {
            Some(until) => format!(", and {ending} that expire{until}"),
            None => String::new(),
        };
        format!("{lasting} keys{ending}")
    }

    fn sentence(&self) -> String {
        match (self.stage, self.bound) {
            (Stage::Settled, Some(true)) => {
                "the gate has a PEPPER_PREVIOUS, and it is not known here: how far its rotation is cannot be told".to_owned()
            }
            (Stage::Settled, _) => "no rotation of the pepper is under way".to_owned(),
            (Stage::Unknown, _) => "keys depend on a pepper that is not known here; a gate without it answers 401 to them, and 503 to imported keys".to_owned(),
            (Stage::Rotating | Stage::Waiting, Some(false)) => {
                "keys depend on the pepper before, and the gate has no PEPPER_PREVIOUS: it answers 401 to them, and 503 to imported keys".to_owned()
            }
            (Stage::Rotating, _) => "keys depend on the pepper before: they have to be rotated".to_owned(),
            (Stage::Waiting, _) => "all keys are rotated; the old ones work until they expire, and need the pepper before until then".to_owned(),
            (Stage::Droppable, Some(false)) => "the rotation is finished: the gate has no PEPPER_PREVIOUS any more".to_owned(),
            (Stage::Droppable, _) => "no key depends on the pepper before: it can go".to_owned(),
        }
    }
}
