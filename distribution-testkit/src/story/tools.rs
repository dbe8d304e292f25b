//! The tools and their schemas (JSON Schema 2020-12).

use rmcp::model::Tool;
use serde_json::{Map, Value, json};

const FIELDS: [(&str, &str); 9] = [
    ("revision", "integer"),
    ("concept_id", "string"),
    ("checksum", "string"),
    ("tags", "array"),
    ("state", "string"),
    ("settled", "boolean"),
    ("claimed_at", "integer"),
    ("body", "string"),
    ("body_encoding", "string"),
];

const CONDITIONS: [(&str, &str); 9] = [
    ("concept_id", "string"),
    ("checksum", "string"),
    ("tag", "string"),
    ("state", "string"),
    ("settled", "boolean"),
    ("claimed_from", "integer"),
    ("claimed_before", "integer"),
    ("after", "string"),
    ("limit", "integer"),
];

pub(super) fn tools(compares: bool, name: impl Fn(&str) -> String) -> Vec<Tool> {
    let place = [("collection", "string")];
    let document = [("collection", "string"), ("id", "string")];
    let expected = [("expected_revision", "integer")];
    let expected = if compares { &expected[..] } else { &[] };
    let tool = |standard: &str, description: &'static str, groups: &[&[(&str, &str)]], required: &[&str]| {
        Tool::new(name(standard), description, schema(&name, groups, required))
    };
    let mut required = vec!["collection", "id", "revision", "body"];
    required.extend(expected.iter().map(|(name, _)| *name));
    vec![
        tool(
            "put",
            "Stores a document if its revision is the expected one",
            &[&document, expected, &FIELDS],
            &required,
        ),
        tool("get", "Reads one document", &[&document], &["collection", "id"]),
        tool("query", "Finds documents, newest claim first", &[&place, &CONDITIONS], &["collection", "limit"]),
    ]
}

fn schema(name: impl Fn(&str) -> String, groups: &[&[(&str, &str)]], required: &[&str]) -> Map<String, Value> {
    let properties: Map<String, Value> = groups
        .iter()
        .flat_map(|group| group.iter())
        .map(|(property, kind)| (name(property), json!({"type": [kind, "null"]})))
        .collect();
    let required: Vec<_> = required.iter().map(|property| name(property)).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), Value::Object(properties));
    schema.insert("required".into(), json!(required));
    schema
}
