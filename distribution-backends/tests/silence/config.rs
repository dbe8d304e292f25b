//! Secrets in the wrong place of a configuration, and references that lead to none.

use std::fs;

use distribution_backends::Config;

use crate::canary::{Secrets, canary};
use crate::told::Told;

#[tokio::test]
async fn whatever_is_wrong_with_a_configuration_its_values_are_not_repeated() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["value"]);
    let secret = canary("value");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distribution.toml");
    let good = "[targets.media]\nstorage = \"objects\"\n[targets.media.links]\nkind = \"hmac\"\n\
                base_url = \"https://media.example/files\"\nkey = { file = \"link.key\" }\n\
                [staging.edits]\nroot = \"staging\"\n[metadata]\nuri = \"sqlite:records.db\"\n\
                [audit]\njsonl = \"audit.jsonl\"\n";
    // Each value in turn, as a text, as a list, as a table and as what is no TOML; and each key.
    let lines: Vec<_> = good.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for wrong in [
            format!("{key} = \"{secret}\""),
            format!("{key} = \"scheme://user:{secret}@host/?{secret}#{secret}\""),
            format!("{key} = \"s3://user:{secret}@host/?{secret}\""),
            format!("{key} = \"postgres://user:{secret}@host/\""),
            format!("{key} = \"story:https://user:{secret}@host/\""),
            format!("{key} = \"az://media?account=a&sas_token={secret}\""),
            format!("{key} = [\"{secret}\"]"),
            format!("{key} = {{ value = \"{secret}\" }}"),
            format!("{key} = {{ env = \"{secret}\" }}"),
            format!("{key} = {{ file = \"{secret}\", env = \"A\" }}"),
            format!("{key} = {secret}"),
            format!("{key} = \"{secret}"),
            format!("{key} = 1979-05-27T{secret}"),
        ] {
            let mut lines = lines.clone();
            lines[n] = &wrong;
            fs::write(&path, lines.join("\n")).unwrap();
            match Config::load(&path) {
                Ok(config) => {
                    told.debug(&config);
                    // A path that is a secret is a name: what it says when it is not there, it may say.
                    let is_name = wrong.ends_with(&format!("= \"{secret}\""));
                    if !is_name {
                        told.refusal(config.open().await);
                    }
                }
                Err(error) => told.error(error),
            }
        }
    }
    // A file that is there and holds no key.
    for name in ["objects", "staging"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(&path, good).unwrap();
    for content in [secret.clone(), format!("id:{secret}!"), format!("{secret}:BwcH"), format!("id:{secret}\n{secret}")]
    {
        fs::write(folder.path().join("link.key"), content).unwrap();
        told.refusal(Config::load(&path).unwrap().open().await);
    }
    told.holds_none_of(&secrets, &[]);
}
