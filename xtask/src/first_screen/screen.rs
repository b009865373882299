//! The first screen, read from the document.

use anyhow::{Context, Result, bail, ensure};

/// The heading of the section.
const HEADING: &str = "## First minute\n";
/// The host of the local API in the document.
const HOST: &str = "http://127.0.0.1:";

/// The commands and links of the first screen, as they are in the document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Screen {
    /// The commands that fetch the project and start the API, which do not return until Ctrl-C.
    pub(super) start: String,
    /// The URL that the first of them clones.
    pub(super) repository: String,
    /// The directory of the clone.
    pub(super) directory: String,
    /// The commands for another terminal, in that directory.
    pub(super) commands: Vec<String>,
    /// The URLs of the pages to open.
    pub(super) pages: Vec<String>,
    /// The port of the API.
    pub(super) port: u16,
}

impl Screen {
    pub(super) fn parse(document: &str) -> Result<Self> {
        let (_, rest) = document.split_once(HEADING).with_context(|| format!("no section {HEADING:?}"))?;
        let section = rest.split("\n## ").next().unwrap_or_default();
        let (blocks, prose) = blocks_and_prose(section);
        let [start, others] = blocks.as_slice() else {
            bail!("the first screen has {} blocks of commands, and not one for each of two terminals", blocks.len())
        };
        let word_after = |command: &str| {
            let word = start.lines().find_map(|line| line.strip_prefix(command)?.split(' ').next());
            word.map(str::to_owned).with_context(|| format!("the first block has no `{command}`"))
        };
        let (repository, directory) = (word_after("git clone ")?, word_after("cd ")?);
        let pages = pages(&prose);
        ensure!(start.lines().any(|line| line.starts_with("cargo dev")), "the first block does not start the API");
        for page in ["/docs", "/upload"] {
            ensure!(pages.iter().any(|url| url.ends_with(page)), "the first screen links to no {page}");
        }
        let commands = commands(others);
        for command in ["curl ", "cargo xtask import "] {
            ensure!(commands.iter().any(|line| line.starts_with(command)), "the second block has no `{command}`");
        }
        let port = pages.first().and_then(|url| url.trim_start_matches(HOST).split('/').next()?.parse().ok());
        let port = port.context("the links name no port")?;
        Ok(Self { start: start.clone(), repository, directory, commands, pages, port })
    }

    /// The base URL of the API.
    pub(super) fn base_url(&self) -> String {
        format!("{HOST}{}", self.port)
    }
}

/// The contents of the `sh` blocks, and the text around them.
fn blocks_and_prose(section: &str) -> (Vec<String>, String) {
    let mut parts = section.split("```sh\n");
    let mut prose = parts.next().unwrap_or_default().to_owned();
    let mut blocks = Vec::new();
    for part in parts {
        let (block, after) = part.split_once("```").unwrap_or((part, ""));
        blocks.push(block.to_owned());
        prose.push_str(after);
    }
    (blocks, prose)
}

/// The URLs of the local API in a text.
fn pages(prose: &str) -> Vec<String> {
    let end = |c: char| c.is_whitespace() || matches!(c, '>' | ')' | '`' | ',');
    let urls = prose.match_indices(HOST).filter_map(|(start, _)| prose.get(start..)?.split(end).next());
    urls.map(str::to_owned).collect()
}

/// The commands of a block. One goes on in the next line after a backslash and inside of single quotes.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in block.lines() {
        match commands.last_mut() {
            Some(last) if last.ends_with('\\') || last.matches('\'').count() % 2 == 1 => last.extend(["\n", line]),
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            _ => commands.push(line.to_owned()),
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Title

## First minute

Needs curl.

```sh
git clone https://example.com/api.git   # the URL
cd api
cargo dev                # waits
```

Then:

```sh
# a comment
curl -i http://127.0.0.1:9000/contacts/ \\
  -d '{
}'

cargo xtask import a.csv   # imports
```

Open <http://127.0.0.1:9000/docs>, [load](http://127.0.0.1:9000/upload).

## Next

```sh
rm -rf nothing
```
";

    #[test]
    fn the_commands_and_links_of_the_section_are_read_as_they_are() {
        let expected = Screen {
            start: "git clone https://example.com/api.git   # the URL\ncd api\ncargo dev                # waits\n"
                .to_owned(),
            repository: "https://example.com/api.git".to_owned(),
            directory: "api".to_owned(),
            commands: vec![
                "curl -i http://127.0.0.1:9000/contacts/ \\\n  -d '{\n}'".to_owned(),
                "cargo xtask import a.csv   # imports".to_owned(),
            ],
            pages: ["http://127.0.0.1:9000/docs", "http://127.0.0.1:9000/upload"].map(str::to_owned).to_vec(),
            port: 9000,
        };
        let screen = Screen::parse(DOCUMENT).unwrap();
        assert_eq!(screen, expected);
        assert_eq!(screen.base_url(), "http://127.0.0.1:9000");
    }

    #[test]
    fn a_screen_without_one_of_its_parts_is_an_error_that_names_it() {
        for (part, error) in [
            ("## First minute", "no section"),
            ("```sh\n# a", "the first screen has 1 blocks"),
            ("git clone", "the first block has no `git clone `"),
            ("cd api", "the first block has no `cd `"),
            ("cargo dev", "does not start the API"),
            ("curl -i", "the second block has no `curl `"),
            ("cargo xtask import", "the second block has no `cargo xtask import `"),
            ("/docs", "links to no /docs"),
            ("/upload", "links to no /upload"),
        ] {
            let found = Screen::parse(&DOCUMENT.replacen(part, "", 1)).unwrap_err().to_string();
            assert!(found.contains(error), "{part}: {found}");
        }
    }
}
