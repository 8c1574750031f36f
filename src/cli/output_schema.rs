//! docs/cli-output.schema.json is that of the types that are printed. `KEYGATE_WRITE_SCHEMA=1` writes it anew.

use std::collections::BTreeMap;
use std::{env, fs};

use keygate_core::usage::AnomalyReport;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::commands::{
    change, import, init, issue, list, manual, pepper, retire, rotate, scanner_rules, show, upgrade, usage,
    verify,
};
use crate::error::Error;
use crate::findings;

const FILE: &str = "../../docs/cli-output.schema.json";
const DESCRIPTION: &str = "With --json, standard output holds one JSON object: the result, of the form of `$defs` that has the command's name. \
    `list`, `import`, `retire` and `rotate --all-older-than` print such an object for each key, a line each. A command that fails prints the form \
    `error` on standard error instead. `export` prints records (record.schema.json), with or without --json. Fields may be added.";

/// The forms of each command's result, by its name.
fn forms(generator: &mut SchemaGenerator) -> BTreeMap<&'static str, Vec<Value>> {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<T>().to_value()
    }
    let changed = of::<change::Changed<'_>>(generator);
    let report = of::<findings::Report<'_>>(generator);
    let issued = of::<issue::Issued<'_>>(generator);
    let rotation = of::<pepper::status::Status<'_>>(generator);
    BTreeMap::from([
        ("error", vec![of::<Error>(generator)]),
        ("init", vec![of::<init::MadeFolder<'_>>(generator)]),
        ("pepper", vec![of::<pepper::NewPepper<'_>>(generator)]),
        ("pepper_init", vec![of::<pepper::init::LocalPepper>(generator)]),
        ("pepper_status", vec![rotation.clone()]),
        ("pepper_rotate", vec![of::<pepper::rotation::Step<'_>>(generator), rotation]),
        ("pepper_apply", vec![of::<pepper::apply::Applied>(generator)]),
        (
            "rotate",
            vec![
                issued.clone(),
                of::<rotate::delivered::Rotatable<'_>>(generator),
                of::<rotate::resume::TakenBack<'_>>(generator),
                of::<rotate::many::Row<'_>>(generator),
            ],
        ),
        ("retire", vec![of::<retire::Retired<'_>>(generator)]),
        ("issue", vec![issued, of::<issue::Deliverable<'_>>(generator)]),
        ("list", vec![of::<list::ListedKey>(generator)]),
        ("show", vec![of::<show::Shown<'_>>(generator)]),
        ("usage", vec![of::<usage::UsageOfKeys>(generator), of::<AnomalyReport>(generator)]),
        ("revoke", vec![changed.clone()]),
        ("disable", vec![changed.clone()]),
        ("enable", vec![changed.clone()]),
        ("update", vec![changed]),
        ("import", vec![of::<import::ImportedKey>(generator)]),
        ("verify", vec![of::<verify::Judgement>(generator)]),
        ("upgrade", vec![of::<upgrade::Upgrade<'_>>(generator)]),
        ("check", vec![report.clone()]),
        ("doctor", vec![report]),
        ("scanner_rules", vec![of::<scanner_rules::RuleFile>(generator)]),
        ("man", vec![of::<manual::Written<'_>>(generator)]),
    ])
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    for (command, forms) in forms(&mut generator) {
        let schema = if let [form] = &forms[..] { form.clone() } else { json!({ "anyOf": forms }) };
        definitions.insert(command.to_owned(), schema);
    }
    definitions.extend(generator.take_definitions(true));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What keygate prints with --json",
        "description": DESCRIPTION,
        "$defs": definitions,
    });
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if env::var_os("KEYGATE_WRITE_SCHEMA").is_some() {
        fs::write(FILE, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(FILE).unwrap(), text, "the types changed: see {FILE}");
}
