//! Values of `template.yaml` that other files show.

use anyhow::{Context, Result, ensure};
use saphyr::{LoadableYamlNode, Scalar, Yaml};

/// A parameter of the template, for people.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Blank if nothing is set by default.
    pub(crate) default: String,
    /// The values that it may have, where they are listed or limited; else blank.
    pub(crate) allowed: String,
}

/// The memory in MB of a function that declares none.
pub(crate) fn default_memory(template: &str) -> Result<u32> {
    let template = parse(template)?;
    let function = get(get(&template, "Globals")?, "Function")?;
    let memory = get(function, "MemorySize")?.as_integer().context("MemorySize in template.yaml is not a number")?;
    u32::try_from(memory).context("MemorySize in template.yaml is not a number of MB")
}

/// The parameters, in their order.
pub(crate) fn parameters(template: &str) -> Result<Vec<Parameter>> {
    let template = parse(template)?;
    let parameters =
        get(&template, "Parameters")?.as_mapping().context("Parameters in template.yaml is not a mapping")?;
    parameters.iter().map(|(name, parameter)| read(&text(name), parameter)).collect()
}

fn read(name: &str, parameter: &Yaml) -> Result<Parameter> {
    let find = |key: &str| parameter.as_mapping_get(key).map(text);
    let description = find("Description").with_context(|| format!("{name} in template.yaml has no Description"))?;
    let values = parameter.as_mapping_get("AllowedValues").and_then(Yaml::as_sequence);
    let allowed = match (values, find("MinValue"), find("MaxValue")) {
        (Some(values), ..) => values.iter().map(|value| format!("`{}`", text(value))).collect::<Vec<_>>().join(", "),
        (None, Some(min), Some(max)) => format!("{min} to {max}"),
        (None, Some(min), None) => format!("from {min}"),
        (None, None, _) => String::new(),
    };
    Ok(Parameter { name: name.to_owned(), description, default: find("Default").unwrap_or_default(), allowed })
}

fn parse(template: &str) -> Result<Yaml<'_>> {
    let mut documents = Yaml::load_from_str(template).context("template.yaml is not YAML")?;
    ensure!(documents.len() == 1, "template.yaml is not one YAML document");
    Ok(documents.remove(0))
}

fn get<'a, 'b>(node: &'a Yaml<'b>, name: &str) -> Result<&'a Yaml<'b>> {
    node.as_mapping_get(name).with_context(|| format!("template.yaml has no {name}"))
}

/// A scalar as text; blank for anything else.
fn text(node: &Yaml) -> String {
    match node {
        Yaml::Value(Scalar::String(value)) => value.to_string(),
        Yaml::Value(Scalar::Integer(value)) => value.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
Parameters:
  Stage: {Type: String, Description: Its name., Default: dev}
  Days: {Type: Number, Description: Days., Default: 1, AllowedValues: [1, 3]}
  Limit: {Type: Number, Description: A limit., Default: 0, MinValue: 0, MaxValue: 9}
Globals: {Function: {MemorySize: 256}}
Resources: {Table: {Value: !Ref Stage}}
";

    #[test]
    fn parameters_are_read_in_their_order() {
        let parameter = |name: &str, description: &str, default: &str, allowed: &str| Parameter {
            name: name.to_owned(),
            description: description.to_owned(),
            default: default.to_owned(),
            allowed: allowed.to_owned(),
        };
        let expected = [
            parameter("Stage", "Its name.", "dev", ""),
            parameter("Days", "Days.", "1", "`1`, `3`"),
            parameter("Limit", "A limit.", "0", "0 to 9"),
        ];
        assert_eq!(parameters(TEMPLATE).unwrap(), expected);
    }

    #[test]
    fn the_default_memory_is_that_of_all_functions() {
        assert_eq!(default_memory(TEMPLATE).unwrap(), 256);
    }

    #[test]
    fn a_template_that_lacks_a_value_is_an_error_that_names_it() {
        assert_eq!(default_memory("Globals: {}").unwrap_err().to_string(), "template.yaml has no Function");
        let error = parameters("Parameters: {Stage: {Type: String}}").unwrap_err().to_string();
        assert_eq!(error, "Stage in template.yaml has no Description");
    }
}
