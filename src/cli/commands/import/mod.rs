//! `keygate import`: many keys of another system, or the records of an export.

mod row;
mod writer;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keygate_core::key::PepperId;
use keygate_core::key::pepper::Pepper;
use keygate_core::time::UnixSeconds;
use zeroize::Zeroizing;

use crate::args::{PepperArgs, StoreArgs};
use crate::bulk_files::BulkFiles;
use crate::commands::import::row::Fate;
#[cfg(test)]
pub(crate) use crate::commands::import::row::ImportedKey;
use crate::commands::import::writer::{Target, Writer};
use crate::context::{self, Context};
use crate::error::{Error, Outcome};
use crate::fields;
use crate::import::{self, Draft, Format, Options, Rules, SubjectMap};
use crate::secrets;
use crate::time::When;

/// Take in many keys of another system, or the records of an export
#[derive(Args, Debug)]
#[command(
    after_help = "A plaintext key is digested and never stored. A key that is there already is left as it is: a second import changes nothing. Lines that cannot be taken are named by number, and the exit code is then 1; all others are taken. A source without a key is an error. docs/migration.md says what to export from which system.\n\nFormats:\n  keys         one key a line; a blank and its subject may follow\n  sha256       one SHA-256 a line, in hex or base64; a blank and its subject may follow\n  csv          a heading of field names: key or sha256, subject, name, scopes, ips, plan, state or enabled, created, not_before, not_after, meta.<name>; `,`, `;` or a tab between columns; lists separated by blanks, commas or semicolons\n  jsonl        objects with those fields, one a line or in an array, or records as `keygate export` writes them\n  kong         a declarative file of Kong: of decK, of DB-less mode, or of `kong config db_export`; ACL groups become scopes\n  apisix       a declarative file of APISIX or ADC, or an answer of APISIX's Admin API\n  unkey        Unkey's keys in JSON: of its API, of its migrations, or of its table `keys`\n  better-auth  better-auth's table `apikey`, rows in JSON\n\nExamples:\n  keygate import --format kong --dry-run kong.yaml\n  keygate import --format keys --subject acme --remote < keys.txt\n  keygate import --format jsonl --bulk-dir bulk export.jsonl"
)]
pub(crate) struct ImportArgs {
    /// The file to read; without one standard input is read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the file holds
    #[arg(long, value_enum)]
    format: Format,
    /// Who holds the keys for which the file names nobody
    #[arg(long)]
    subject: Option<String>,
    /// Other subjects for the names in the file: lines of a name, a comma and its subject, or a JSON object
    #[arg(long, value_name = "FILE")]
    subject_map: Option<PathBuf>,
    /// Read a column or field of csv and jsonl under another name; may be repeated
    #[arg(long = "rename", value_name = "OLD=FIELD", value_parser = renamed)]
    renamed: Vec<(String, String)>,
    /// Pass over a field, or a plugin of a consumer, although it may restrict the key; may be repeated
    #[arg(long = "ignore", value_name = "NAME")]
    ignored: Vec<String>,
    /// When Kong wrote the file: the `ttl` of its keys, in seconds, is counted from then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    exported_at: Option<UnixSeconds>,
    /// A permission of the keys for which the file says none; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Which limits hold for the keys for which the file says none
    #[arg(long)]
    plan: Option<String>,
    /// When the keys expire for which the file says nothing: 90d, 2027-01-31, an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    expires: Option<When>,
    /// Take keys that are too easy to guess: who reads the KV namespace can then find them by trial
    #[arg(long)]
    allow_weak: bool,
    /// Write files for `wrangler kv bulk put` into this folder, and nothing to the store; it is not asked either
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "remote", "persist_to"])]
    bulk_dir: Option<PathBuf>,
    /// Write nothing; print what would become of each key
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Imports keys.
pub(crate) fn run(context: &Context, args: &ImportArgs) -> Outcome<ExitCode> {
    let config = context.config()?;
    let options = options(args)?;
    let mut rules = Rules {
        prefix: config.key_prefix()?,
        pepper: None,
        now: context.now,
        allow_weak: args.allow_weak,
        subject: args.subject.clone(),
        subjects: args.subject_map.as_deref().map(SubjectMap::read).transpose()?.unwrap_or_default(),
        scopes: args.scopes.clone(),
        plan: args.plan.clone(),
        expires: args.expires,
    };
    let source = source(args)?;
    let target = match &args.bulk_dir {
        Some(folder) => Target::Files(BulkFiles::new(folder)?),
        None => Target::store(context::store(&config, &args.store)?, args.dry_run)?,
    };
    // Bulk files may be for a deployed gate, so the local gate's pepper is not taken for them without being named.
    let remote = args.store.remote || args.bulk_dir.is_some();
    let mut writer = Writer::new(context, target, args.dry_run);
    let (mut digests, mut notes, mut record_peppers) = (0, BTreeSet::new(), Vec::new());
    import::read(args.format, &source, &options, &mut |place, read| {
        if rules.pepper.is_none() && matches!(read, Ok(Draft::Imported(_))) {
            // Only now: a source of records alone needs none.
            rules.pepper = Some(secrets::pepper(&args.pepper, &config, remote)?.peppers.current);
        }
        digests += usize::from(read.as_ref().is_ok_and(Draft::is_digest));
        notes.extend(read.as_ref().ok().and_then(Draft::note));
        record_peppers.extend(read.as_ref().ok().and_then(Draft::pepper));
        match read.and_then(|draft| draft.candidate(&rules)) {
            Ok(candidate) => writer.take(place, candidate),
            Err(problem) => writer.refuse(place, problem),
        }
    })?;
    let written = writer.finish()?;
    let count = |fate| written.counts.get(&fate).copied().unwrap_or_default();
    if written.counts.is_empty() {
        return Err(Error::failed("the source has no key", "export the keys again, or name another file"));
    }
    announce(context, count, &written.place, args.dry_run);
    for note in notes {
        context.out.note(format_args!("note: {note}"));
    }
    if digests > 0 {
        context.out.note(format_args!(
            "of {digests} keys the source has digests alone: whether they are easy to guess cannot be told"
        ));
    }
    if !record_peppers.is_empty()
        && let Ok(found) = secrets::peppers(&args.pepper, &config, remote)
    {
        let known = [Some(&found.peppers.current), found.peppers.previous.as_ref()];
        let known: Vec<PepperId> = known.into_iter().flatten().map(Pepper::id).collect();
        let others = record_peppers.iter().filter(|pepper| !known.contains(pepper)).count();
        if others > 0 {
            context.out.note(format_args!(
                "warning: {others} records have digests of another pepper than {}: a gate with this one does not accept their keys",
                found.source
            ));
        }
    }
    let plan = args.plan.as_deref().and_then(|plan| plan.parse().ok());
    fields::warn_of_limits(context, &config, plan.as_ref(), None);
    if written.imported > 0 {
        crate::imported::warn_unless_read(context, &config);
    }
    Ok(ExitCode::from(u8::from(count(Fate::Bad) + count(Fate::Different) > 0)))
}

fn options(args: &ImportArgs) -> Outcome<Options> {
    let needs = |option: &str, formats: &str| {
        Err(Error::usage(
            format!("{option} is for {formats} alone"),
            "leave it out, or give another --format",
        ))
    };
    if !args.renamed.is_empty() && !matches!(args.format, Format::Csv | Format::Jsonl) {
        return needs("--rename", "`--format csv` and `--format jsonl`");
    }
    if args.exported_at.is_some() && args.format != Format::Kong {
        return needs("--exported-at", "`--format kong`");
    }
    Ok(Options {
        renamed: args.renamed.clone(),
        ignored: args.ignored.clone(),
        exported_at: args.exported_at,
    })
}

fn renamed(text: &str) -> Result<(String, String), String> {
    let (theirs, ours) = text
        .split_once('=')
        .filter(|(theirs, _)| !theirs.is_empty())
        .ok_or_else(|| "it has not the form OLD=FIELD, for example client=subject".to_owned())?;
    if import::is_field(ours) {
        Ok((theirs.to_owned(), ours.to_owned()))
    } else {
        Err(format!("FIELD is none of {}, meta.<name>", import::FIELDS.join(", ")))
    }
}

fn moment(text: &str) -> Result<UnixSeconds, String> {
    match text.parse::<When>()? {
        When::At(time) => Ok(time),
        When::Never | When::In(_) => {
            Err("give a date (2027-01-31) or an RFC 3339 time (2027-01-31T18:00:00+01:00)".to_owned())
        }
    }
}

/// The whole source: its first bytes show what it is, and most formats are no lines.
fn source(args: &ImportArgs) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let (name, read) = match args.file.as_deref().filter(|path| path.as_os_str() != "-") {
        None => ("standard input".to_owned(), io::stdin().lock().read_to_end(&mut bytes)),
        Some(path) if path.is_dir() => {
            return Err(Error::failed(
                format!("{} is a folder", path.display()),
                "name a file in it; a folder of files is imported file by file",
            ));
        }
        Some(path) => {
            let read = fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
            (path.display().to_string(), read)
        }
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(e) => Err(Error::failed(
            format!("cannot read {name}: {e}"),
            "name a readable file, or send the keys to standard input",
        )),
    }
}

fn announce(context: &Context, count: impl Fn(Fate) -> usize, place: &str, dry_run: bool) {
    let written = if dry_run { "would be written to" } else { "written to" };
    context.out.note(format_args!(
        "{} {written} {place}, {} there already and the same, {} there and different, {} not taken",
        count(Fate::New),
        count(Fate::Same),
        count(Fate::Different),
        count(Fate::Bad),
    ));
    if count(Fate::Renewed) > 0 {
        let given = if dry_run { "would get" } else { "got" };
        context
            .out
            .note(format_args!("{} there already {given} digests with this pepper", count(Fate::Renewed)));
    }
    if dry_run {
        context.out.note("nothing was written");
    }
}
