//! Reads command lines as clap does: the first line of standard input describes the program, each
//! further one is the words of a command line as JSON; a line of JSON tells what clap says to it.

use std::io::{stdin, BufRead};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Command};
use serde_json::{json, Map, Value};

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("array").iter().map(text).collect()
}

fn option(about: &Value) -> Arg {
    let name = text(&about["name"]);
    let mut arg = Arg::new(name.clone()).long(name).help(text(&about["help"]));
    arg = match about["value"].as_str() {
        None => arg.action(ArgAction::SetTrue),
        Some(value) => arg.value_name(value.to_owned()),
    };
    if about["several"] == json!(true) {
        arg = arg.num_args(1..);
    }
    if about["required"] == json!(true) {
        arg = arg.required(true);
    }
    let unless = texts(&about["required_unless"]);
    if !unless.is_empty() {
        arg = arg.required_unless_present_any(unless);
    }
    for other in texts(&about["requires"]) {
        arg = arg.requires(other);
    }
    for other in texts(&about["conflicts"]) {
        arg = arg.conflicts_with(other);
    }
    arg
}

fn program(about: &Value) -> Command {
    let mut program = Command::new(text(&about["name"]))
        .bin_name(text(&about["binary"]))
        .version(text(&about["version"]))
        .about(text(&about["about"]))
        .arg_required_else_help(true);
    for command in about["commands"].as_array().expect("array") {
        let mut sub = Command::new(text(&command["name"])).about(text(&command["about"]));
        for arg in command["options"].as_array().expect("array") {
            sub = sub.arg(option(arg));
        }
        program = program.subcommand(sub);
    }
    program
}

fn answer(program: &Command, binary: &str, words: Vec<String>) -> Value {
    let line = std::iter::once(binary.to_owned()).chain(words);
    match program.clone().try_get_matches_from(line) {
        Err(error) => json!({
            "status": error.exit_code(),
            "errors": error.use_stderr(),
            "text": error.to_string(),
        }),
        Ok(matches) => {
            let Some((name, sub)) = matches.subcommand() else {
                return json!({"command": null});
            };
            let mut given = Map::new();
            for id in sub.ids() {
                if sub.value_source(id.as_str()) == Some(ValueSource::CommandLine) {
                    let values = match sub.try_get_many::<String>(id.as_str()) {
                        Ok(Some(values)) => values.cloned().collect(),
                        _ => Vec::new(),
                    };
                    given.insert(id.as_str().to_owned(), json!(values));
                }
            }
            json!({"command": name, "given": given})
        }
    }
}

fn main() {
    let mut lines = stdin().lock().lines().map(|line| line.expect("a line"));
    let about: Value = serde_json::from_str(&lines.next().expect("a description")).expect("JSON");
    let (program, binary) = (program(&about), text(&about["binary"]));
    for line in lines {
        let words: Value = serde_json::from_str(&line).expect("JSON");
        println!("{}", answer(&program, &binary, texts(&words)));
    }
}
