//! What the server's tools, their arguments and the fields of their answers are called.

use std::collections::BTreeSet;

use distribution_core::{Error, ErrorKind};
use rmcp::model::Tool;
use serde::{Deserialize, Serialize};

/// What a Story server calls its tools, their arguments and the fields of its answers. The default is the
/// contract that [`StoryMcpMetadata`](crate::StoryMcpMetadata) documents; a server that calls things
/// otherwise needs no more than the names that differ:
///
/// ```
/// use distribution_backends::StoryContract;
///
/// let contract: StoryContract = serde_json::from_str(
///     r#"{"tools": {"put": "story_upsert"}, "arguments": {"expected_revision": "if_version"}}"#,
/// )?;
/// assert_eq!(contract.tools.get, "get");
/// assert_eq!(contract.tools.put, "story_upsert");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoryContract {
    /// The tools.
    pub tools: StoryTools,
    /// The values of the argument `collection`.
    pub collections: StoryCollections,
    /// Arguments that are no field of a document.
    pub arguments: StoryArguments,
    /// The fields of a document: arguments of `put` and `query`, and what answers hold.
    pub document: StoryDocument,
    /// The fields of an answer around its documents.
    pub answers: StoryAnswers,
}

/// Names with their defaults, each a text.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $default:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: String,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default.to_owned(),)* }
            }
        }

        impl $name {
            /// The names, each with what it is a name of.
            fn names(&self) -> Vec<(&'static str, &str)> {
                vec![$((concat!($default), self.$field.as_str()),)*]
            }
        }
    };
}

names! {
    /// The names of the tools.
    StoryTools {
        /// Stores a document if its revision is the expected one.
        put = "put",
        /// Reads one document.
        get = "get",
        /// Finds documents.
        query = "query",
    }
}

names! {
    /// Where documents are.
    StoryCollections {
        /// The records.
        publications = "publications",
        /// Which publication an idempotency key names.
        idempotency_keys = "idempotency_keys",
    }
}

names! {
    /// Arguments that are no field of a document.
    StoryArguments {
        /// Of every tool: where the document is.
        collection = "collection",
        /// Of `put`: the revision to replace; `null` if there must be none.
        expected_revision = "expected_revision",
        /// Of `query`: a tag among the document's.
        tag = "tag",
        /// Of `query`: the least `claimed_at`.
        claimed_from = "claimed_from",
        /// Of `query`: what `claimed_at` is below.
        claimed_before = "claimed_before",
        /// Of `query`: behind which place to go on.
        after = "after",
        /// Of `query`: the most documents.
        limit = "limit",
    }
}

names! {
    /// The fields of a document.
    StoryDocument {
        /// Its id within the collection.
        id = "id",
        /// How often it has been replaced.
        revision = "revision",
        /// The work of which the file is a version, or `null`.
        concept_id = "concept_id",
        /// The approved bytes.
        checksum = "checksum",
        /// A list of texts.
        tags = "tags",
        /// `in_progress`, `published`, `rejected` or `retracted`.
        state = "state",
        /// Whether nothing is left to do.
        settled = "settled",
        /// Microseconds since 1970.
        claimed_at = "claimed_at",
        /// A text.
        body = "body",
        /// Whether the body is `text` or `base64`.
        body_encoding = "body_encoding",
    }
}

names! {
    /// The fields of an answer around its documents, and the values of `outcome`.
    StoryAnswers {
        /// Of `put`: what became of it.
        outcome = "outcome",
        /// The outcome of a document that is stored.
        stored = "stored",
        /// The outcome where the revision was not the expected one.
        superseded = "superseded",
        /// Of `put`, where superseded: the document that is there. May be left out.
        current = "current",
        /// Of `get`: the document, or `null`.
        document = "document",
        /// Of `query`: the documents.
        documents = "documents",
        /// Of an error: one of this library's, such as `invalid`. May be left out.
        kind = "kind",
    }
}

/// What a server offers of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) get: bool,
}

impl StoryContract {
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a name that is empty, too long or used twice
    /// where one is meant.
    pub(super) fn check(&self) -> Result<(), Error> {
        let (arguments, document, answers) = (self.arguments.names(), self.document.names(), self.answers.names());
        let of_calls = [arguments, document].concat();
        let (words, of_answers): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|(what, _)| matches!(*what, "stored" | "superseded"));
        let groups = [
            ("tools", self.tools.names()),
            ("collections", self.collections.names()),
            ("arguments and document", of_calls),
            ("answers", of_answers),
            ("answers", words),
        ];
        for (group, names) in groups {
            let mut seen = BTreeSet::new();
            for (what, name) in names {
                if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
                    return Err(Error::invalid(group, format!("the name of {what} must have 1 to 128 characters")));
                }
                if !seen.insert(name) {
                    return Err(Error::invalid(group, format!("{name:?} is the name of two things, one is {what}")));
                }
            }
        }
        Ok(())
    }

    /// Whether these tools are a metadata store.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], naming what is missing.
    pub(super) fn check_store(&self, tools: &[Tool], place: &str) -> Result<Offer, Error> {
        let a = &self.arguments;
        let put = self.tool(tools, "put", &self.tools.put, place)?;
        if !properties(put).contains(&a.expected_revision.as_str()) {
            let message = format!(
                "tool {:?} of {place} has no argument {:?}, so it cannot compare and swap: name the one it has in \
                 arguments.expected_revision, or keep records in an ops database and give them to Story by MirrorTo",
                self.tools.put, a.expected_revision
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.check_put(put, place)?;
        let d = &self.document;
        self.check_get(tools, place)?;
        let query = self.tool(tools, "query", &self.tools.query, place)?;
        let asked = [
            ("arguments.collection", &a.collection),
            ("document.concept_id", &d.concept_id),
            ("document.checksum", &d.checksum),
            ("arguments.tag", &a.tag),
            ("document.state", &d.state),
            ("document.settled", &d.settled),
            ("arguments.claimed_from", &a.claimed_from),
            ("arguments.claimed_before", &a.claimed_before),
            ("arguments.after", &a.after),
            ("arguments.limit", &a.limit),
        ];
        names_all(query, &asked, place)?;
        Ok(Offer { get: true })
    }

    /// Whether these tools can be written to without comparing revisions.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], naming what is missing.
    pub(super) fn check_mirror(&self, tools: &[Tool], place: &str) -> Result<Offer, Error> {
        let put = self.tool(tools, "put", &self.tools.put, place)?;
        self.check_put(put, place)?;
        let expected = &self.arguments.expected_revision;
        let required = put.input_schema.get("required").and_then(|names| names.as_array());
        if required.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(expected))) {
            let message = format!(
                "tool {:?} of {place} insists on {expected:?}, and a mirror is written without: it can compare and \
                 swap, so keep the records there, by StoryMcpMetadata",
                self.tools.put
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let get = tools.iter().any(|tool| tool.name == self.tools.get);
        if get {
            self.check_get(tools, place)?;
        }
        Ok(Offer { get })
    }

    fn check_put(&self, put: &Tool, place: &str) -> Result<(), Error> {
        let d = &self.document;
        let asked = [
            ("arguments.collection", &self.arguments.collection),
            ("document.id", &d.id),
            ("document.revision", &d.revision),
            ("document.concept_id", &d.concept_id),
            ("document.checksum", &d.checksum),
            ("document.tags", &d.tags),
            ("document.state", &d.state),
            ("document.settled", &d.settled),
            ("document.claimed_at", &d.claimed_at),
            ("document.body", &d.body),
            ("document.body_encoding", &d.body_encoding),
        ];
        names_all(put, &asked, place)
    }

    fn check_get(&self, tools: &[Tool], place: &str) -> Result<(), Error> {
        let get = self.tool(tools, "get", &self.tools.get, place)?;
        let asked = [("arguments.collection", &self.arguments.collection), ("document.id", &self.document.id)];
        names_all(get, &asked, place)
    }

    fn tool<'t>(&self, tools: &'t [Tool], what: &str, name: &str, place: &str) -> Result<&'t Tool, Error> {
        tools.iter().find(|tool| tool.name == name).ok_or_else(|| {
            let message = format!("{place} has no tool {name:?}: name the one it has in tools.{what} of the contract");
            Error::new(ErrorKind::Unsupported, message)
        })
    }
}

fn properties(tool: &Tool) -> Vec<&str> {
    let properties = tool.input_schema.get("properties").and_then(|properties| properties.as_object());
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect()
}

fn names_all(tool: &Tool, asked: &[(&str, &String)], place: &str) -> Result<(), Error> {
    let offered = properties(tool);
    let missing = asked.iter().filter(|(_, name)| !offered.contains(&name.as_str()));
    let missing: Vec<_> = missing.map(|(what, name)| format!("{name:?} ({what})")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "tool {:?} of {place} has no argument {}: name those it has in the contract",
        tool.name,
        missing.join(", ")
    );
    Err(Error::new(ErrorKind::Unsupported, message))
}
