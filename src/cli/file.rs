//! The files that a command is given: settings and plans, read with the lines of everything in them.

use std::io::Read;
use std::path::Path;

use super::failure::{Failure, Outcome};
use crate::config::document::{Document, Format, SyntaxFault};

/// A file as it was read.
pub(super) struct SettingsFile {
    /// Its name, for messages.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) format: Format,
    pub(super) document: Result<Document, SyntaxFault>,
}

impl SettingsFile {
    /// Reads a file whose name tells its format.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let name = path.display().to_string();
        let format = Format::of_file(&name).ok_or_else(|| {
            Failure::usage(format!(
                "{name}: the name must end in .toml, .yaml, .yml or .json, to say how it is written"
            ))
        })?;
        let text = read_text(path)?;
        let document = Document::parse(&text, format);
        Ok(Self { name, text, format, document })
    }

    /// Whether it is wrangler's, and no plan file: by what stands in it, else by its name.
    pub(super) fn is_wranglers(&self) -> bool {
        let name = Path::new(&self.name).file_name().unwrap_or_default().to_string_lossy();
        match &self.document {
            Ok(document) if document.value().get("plans").is_some() => false,
            Ok(document) => {
                let has = |member: &str| document.value().get(member).is_some();
                has("vars") || has("main") || name.starts_with("wrangler")
            }
            Err(_) => name.starts_with("wrangler"),
        }
    }

    /// The line of that number, from 1.
    pub(super) fn line(&self, number: usize) -> Option<&str> {
        self.text.lines().nth(number.checked_sub(1)?)
    }
}

/// The text of a file; `-` is standard input.
pub(super) fn read_text(path: &Path) -> Outcome<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{}: is not UTF-8", path.display())))
}

/// The bytes of a file; `-` is standard input.
pub(super) fn read_bytes(path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Writes a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Outcome {
    std::fs::write(path, bytes).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
