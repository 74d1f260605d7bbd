//! The command line.

use std::path::PathBuf;

use crate::Failure;

const USAGE: &str = "instructions [FILTER] [--renew | --profile FILE]

  FILTER          only operations whose name contains this
  --renew         writes the counts to the baseline, instead of comparing
  --profile FILE  writes a profile of one operation for callgrind_annotate, instead of comparing

It ends with code 1 if a count has grown by more than 3 %, and with code 3 if nothing could be checked, because valgrind is
missing, or because the baseline was counted with another compiler.";

#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) filter: Option<String>,
    pub(crate) renew: bool,
    pub(crate) profile: Option<PathBuf>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut args = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                "--renew" => args.renew = true,
                "--profile" => args.profile = Some(words.next().ok_or("--profile wants a file")?.into()),
                _ if word.starts_with('-') => return Err(format!("there is no {word}\n\n{USAGE}").into()),
                _ if args.filter.is_some() => return Err("one filter is enough".into()),
                _ => args.filter = Some(word),
            }
        }
        if args.renew && args.profile.is_some() {
            return Err("--renew and --profile exclude each other".into());
        }
        Ok(args)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| name.contains(filter))
    }
}
