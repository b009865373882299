//! Which column of a file is which field of a contact. `shared/csv-import/README.md` has the rules.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

use anyhow::{Result, anyhow, bail, ensure};
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use serde::Deserialize;
use shared::domain::is_blank;
use shared::wire::{Cells, columns};

/// The field that the two parts of a name are joined into.
pub(super) const FULL_NAME: &str = "full_name";
/// The fields that the API does not have: they are joined into [`FULL_NAME`].
const NAME_PARTS: [&str; 2] = ["first_name", "last_name"];

/// The most characters of a cell or a header that are shown.
const MAX_SHOWN: usize = 24;
/// The most columns that an error names.
const MAX_LISTED: usize = 20;

/// The fields and their aliases, the fields of the API in its order.
static CATALOG: LazyLock<Vec<Entry>> = LazyLock::new(read_catalog);

/// A field, and the normalized headers of its column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    field: &'static str,
    aliases: Vec<String>,
}

/// A column that the user has chosen, as `COLUMN=FIELD`, or left out, as `COLUMN=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    column: String,
    field: Option<&'static str>,
}

/// The field of each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    fields: Vec<Option<&'static str>>,
}

#[expect(clippy::expect_used, reason = "the file is part of the program, and the tests read it")]
fn read_catalog() -> Vec<Entry> {
    #[derive(Deserialize)]
    struct Catalog {
        fields: Vec<Field>,
    }
    #[derive(Deserialize)]
    struct Field {
        field: String,
        aliases: Vec<String>,
    }
    let catalog: Catalog =
        serde_json::from_str(include_str!("../../../shared/csv-import/columns.json")).expect("columns.json is valid");
    let names: Vec<_> = columns().iter().map(|column| column.name).chain(NAME_PARTS).collect();
    let entry = |Field { field, aliases }: Field| {
        let field = names.iter().find(|name| **name == field).expect("columns.json has fields of the API only");
        Entry { field, aliases }
    };
    catalog.fields.into_iter().map(entry).collect()
}

/// The form in which headers are compared.
pub(super) fn normalize(header: &str) -> String {
    let category = CodePointMapData::<GeneralCategory>::new();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(header);
    let letters = decomposed.chars().filter(|c| !GeneralCategoryGroup::Mark.contains(category.get(*c)));
    let text = letters.collect::<String>().to_lowercase();
    let is_other = |c: char| {
        let category = category.get(c);
        !GeneralCategoryGroup::Letter.contains(category) && !GeneralCategoryGroup::Number.contains(category)
    };
    text.split(is_other).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (column, field) = text.rsplit_once('=').ok_or_else(|| anyhow!("write COLUMN=FIELD"))?;
        let field = field.trim();
        let known = CATALOG.iter().find(|entry| entry.field == field);
        if known.is_none() && !field.is_empty() {
            let names: Vec<_> = CATALOG.iter().map(|entry| entry.field).collect();
            bail!("{field} is not a field: the fields are {}", names.join(", "));
        }
        Ok(Self { column: column.trim().to_owned(), field: known.map(|entry| entry.field) })
    }
}

impl Mapping {
    /// Maps the columns with these headers.
    ///
    /// # Errors
    /// A choice names no column, or several; or a field or a column is chosen twice.
    pub(super) fn of(headers: &[String], choices: &[Choice]) -> Result<Self> {
        let mut automatic = Automatic::new(headers);
        let mut fields = vec![None; headers.len()];
        for choice in choices {
            let column = choice.column_in(headers)?;
            ensure!(!automatic.chosen[column], "--map names the column \"{}\" twice", choice.column);
            if let Some(field) = choice.field {
                ensure!(!fields.contains(&choice.field), "--map names the field {field} twice");
                fields[column] = Some(field);
            }
            automatic.chosen[column] = true;
        }
        for (field, column) in automatic.columns(&fields) {
            fields[column] = Some(field);
        }
        Ok(Self { fields })
    }

    /// The required fields that have no column.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let has_parts = NAME_PARTS.iter().any(|part| self.has(part));
        let is_missing = |name: &&str| !self.has(name) && (*name != FULL_NAME || !has_parts);
        columns().iter().filter(|column| column.required).map(|column| column.name).filter(is_missing).collect()
    }

    /// The number of columns with a field.
    pub(super) fn len(&self) -> usize {
        self.fields.iter().flatten().count()
    }

    /// The field of a column.
    pub(super) fn field(&self, column: usize) -> Option<&'static str> {
        self.fields.get(column).copied().flatten()
    }

    /// The columns that have a field.
    pub(super) fn by_column(&self) -> BTreeMap<usize, String> {
        let columns = self.fields.iter().enumerate();
        columns.filter_map(|(column, field)| Some((column, (*field)?.to_owned()))).collect()
    }

    /// The cells of a row that are not blank, as the API reads them. The parts of a name are joined.
    pub(super) fn cells(&self, row: &[String]) -> Cells {
        let mut cells = Cells::with_capacity(self.fields.len());
        let mut parts = [None; 2];
        for (field, cell) in self.fields.iter().zip(row) {
            let Some(field) = field else { continue };
            if is_blank(cell) {
                continue;
            }
            match NAME_PARTS.iter().position(|part| part == field) {
                Some(part) => parts[part] = Some(cell.trim()),
                None => cells.push((field, cell.clone())),
            }
        }
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            cells.push((FULL_NAME, parts.join(" ")));
        }
        cells
    }

    fn has(&self, field: &str) -> bool {
        self.fields.iter().flatten().any(|name| *name == field)
    }
}

impl Choice {
    /// The index of the column: the header as it is, or else in its normalized form.
    fn column_in(&self, headers: &[String]) -> Result<usize> {
        let normalized = normalize(&self.column);
        let find = |is_named: &dyn Fn(&String) -> bool| -> Vec<usize> {
            headers.iter().enumerate().filter(|(_, header)| is_named(header)).map(|(index, _)| index).collect()
        };
        let mut found = find(&|header| header.trim() == self.column);
        if found.is_empty() && !normalized.is_empty() {
            found = find(&|header| normalize(header) == normalized);
        }
        match found[..] {
            [column] => Ok(column),
            [] => bail!("the file has no column \"{}\"; it has {}", self.column, listed(headers)),
            _ => bail!("the file has several columns \"{}\": give them different names", self.column),
        }
    }
}

/// The mapping of the columns that the user has not chosen.
struct Automatic {
    headers: Vec<String>,
    /// The columns that the user has chosen.
    chosen: Vec<bool>,
}

impl Automatic {
    fn new(headers: &[String]) -> Self {
        let headers: Vec<_> = headers.iter().map(|header| normalize(header)).collect();
        Self { chosen: vec![false; headers.len()], headers }
    }

    /// The columns of the fields that are not among these.
    fn columns(&self, fields: &[Option<&'static str>]) -> Vec<(&'static str, usize)> {
        let is_chosen = |field: &str| fields.iter().flatten().any(|name| *name == field);
        let [first_name, last_name] = NAME_PARTS;
        let find = |field: &str| if is_chosen(field) { None } else { self.column_of(field) };
        let full = if NAME_PARTS.into_iter().any(is_chosen) { None } else { find(FULL_NAME) };
        let (first, last) = if is_chosen(FULL_NAME) { (None, None) } else { (find(first_name), find(last_name)) };
        let has_last = last.is_some() || is_chosen(last_name);
        let mut columns = Vec::new();
        for entry in CATALOG.iter() {
            let column = match entry.field {
                FULL_NAME => full.filter(|column| !has_last || !self.may_be(*column, first_name)),
                field if NAME_PARTS.contains(&field) => continue,
                field => find(field),
            };
            columns.extend(column.map(|column| (entry.field, column)));
        }
        if !columns.iter().any(|(field, _)| *field == FULL_NAME) {
            columns.extend(first.map(|column| (first_name, column)));
            columns.extend(last.map(|column| (last_name, column)));
        }
        columns
    }

    /// The column whose header is the first alias of a field; the leftmost one, if several have that header.
    fn column_of(&self, field: &str) -> Option<usize> {
        let aliases = aliases_of(field);
        let is_free = |column: &usize| !self.chosen[*column];
        let rank = |column: &usize| aliases.iter().position(|alias| *alias == self.headers[*column]);
        let candidates = (0..self.headers.len()).filter(is_free).filter(|column| rank(column).is_some());
        candidates.min_by_key(|column| rank(column))
    }

    /// `true` if the header of a column is an alias of this field.
    fn may_be(&self, column: usize, field: &str) -> bool {
        aliases_of(field).contains(&self.headers[column])
    }
}

/// The names of the columns, for an error.
pub(super) fn listed(headers: &[String]) -> String {
    let names = headers.iter().take(MAX_LISTED).map(|header| format!("\"{}\"", short(header)));
    let names = names.collect::<Vec<_>>().join(", ");
    match headers.len().saturating_sub(MAX_LISTED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// The beginning of a cell in one line, without characters that a terminal would obey.
pub(super) fn short(cell: &str) -> String {
    let text: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut chars = text.trim().chars();
    let beginning: String = chars.by_ref().take(MAX_SHOWN).collect();
    if chars.next().is_some() { format!("{beginning}…") } else { beginning }
}

fn aliases_of(field: &str) -> &'static [String] {
    CATALOG.iter().find(|entry| entry.field == field).map_or(&[], |entry| &entry.aliases)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        headers: Vec<HeadersVector>,
    }

    #[derive(Deserialize)]
    struct HeadersVector {
        headers: Vec<String>,
        mapping: BTreeMap<usize, String>,
    }

    fn headers<const N: usize>(headers: [&str; N]) -> Vec<String> {
        headers.map(str::to_owned).to_vec()
    }

    fn choices<const N: usize>(choices: [&str; N]) -> Vec<Choice> {
        choices.map(|choice| choice.parse().unwrap()).to_vec()
    }

    #[test]
    fn the_vectors_are_mapped() {
        let vectors: Vectors = serde_json::from_str(include_str!("../../../shared/csv-import/vectors.json")).unwrap();
        assert!(vectors.headers.len() > 20);
        for HeadersVector { headers, mapping } in vectors.headers {
            assert_eq!(Mapping::of(&headers, &[]).unwrap().by_column(), mapping, "{headers:?}");
        }
    }

    #[test]
    fn the_catalog_has_every_column_of_the_api_in_its_order() {
        let fields: Vec<_> = CATALOG.iter().map(|entry| entry.field).collect();
        let expected: Vec<_> = columns().iter().map(|column| column.name).chain(NAME_PARTS).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn aliases_are_normalized_and_name_one_field() {
        let mut seen = BTreeSet::new();
        for Entry { field, aliases } in CATALOG.iter() {
            assert_eq!(aliases[0], normalize(if *field == FULL_NAME { "full name" } else { field }));
            for alias in aliases {
                assert_eq!(normalize(alias), *alias);
                let may_be_full_name = *field == NAME_PARTS[0] && aliases_of(FULL_NAME).contains(alias);
                assert!(may_be_full_name || seen.insert(alias), "{alias} is an alias of two fields");
            }
        }
    }

    #[test]
    fn what_the_user_has_chosen_comes_first() {
        let file = headers(["Email", "Name", "Surname", "Mail 2", "Profile"]);
        let mapped = |choices: &[Choice]| Mapping::of(&file, choices).unwrap().fields;
        let (email, full, first, last) = (Some("email"), Some("full_name"), Some("first_name"), Some("last_name"));

        assert_eq!(mapped(&[]), [email, first, last, None, None]);
        assert_eq!(
            mapped(&choices(["mail 2=email", "Profile=linkedin_profile"])),
            [None, first, last, email, Some("linkedin_profile")]
        );
        assert_eq!(mapped(&choices(["Name=full_name"])), [email, full, None, None, None]);
        assert_eq!(mapped(&choices(["Surname="])), [email, full, None, None, None]);
        assert_eq!(mapped(&choices(["Surname=first_name"])), [email, None, first, None, None]);
        assert_eq!(mapped(&choices(["Profile=last_name"])), [email, first, None, None, last]);
    }

    #[test]
    fn a_wrong_choice_is_an_error() {
        let file = headers(["Email", "Phone", "Phone"]);
        for (given, error) in [
            (&["Fax=email"][..], "the file has no column \"Fax\"; it has \"Email\", \"Phone\", \"Phone\""),
            (&["Phone=email"], "the file has several columns \"Phone\": give them different names"),
            (&["Email=email", "email="], "--map names the column \"email\" twice"),
        ] {
            let choices: Vec<Choice> = given.iter().map(|choice| choice.parse().unwrap()).collect();
            assert_eq!(Mapping::of(&file, &choices).unwrap_err().to_string(), error);
        }
        let hostile: Vec<_> = (0..30).map(|number| format!("{number}\u{1b}[31m{}", "x".repeat(100))).collect();
        let error = Mapping::of(&hostile, &choices(["Fax=email"])).unwrap_err().to_string();
        assert!(!error.contains(char::is_control) && error.len() < 1_000, "{error}");
        assert!(error.ends_with(" and 10 more"), "{error}");
        let twice = Mapping::of(&headers(["A", "B"]), &choices(["A=email", "B=email"]));
        assert_eq!(twice.unwrap_err().to_string(), "--map names the field email twice");
        assert_eq!("Email".parse::<Choice>().unwrap_err().to_string(), "write COLUMN=FIELD");
        let unknown = "Phone=phone".parse::<Choice>().unwrap_err().to_string();
        assert!(unknown.starts_with("phone is not a field: the fields are full_name, email, "), "{unknown}");
    }

    #[test]
    fn a_name_is_required_in_one_form_or_the_other() {
        let missing = |headers: &[String]| Mapping::of(headers, &[]).unwrap().missing();
        assert_eq!(missing(&headers(["Email", "LinkedIn"])), ["full_name"]);
        assert_eq!(missing(&headers(["First name", "LinkedIn"])), ["email"]);
        assert_eq!(missing(&headers(["Phone"])), ["full_name", "email", "linkedin_profile"]);
    }

    #[test]
    fn the_parts_of_a_name_are_joined() {
        let file = headers(["Last name", "Email", "First name", "Notes"]);
        let mapping = Mapping::of(&file, &[]).unwrap();
        let cells = |row| mapping.cells(&headers(row));
        let (email, name) = (("email", " x ".to_owned()), |name: &str| (FULL_NAME, name.to_owned()));

        assert_eq!(cells(["Doe ", " x ", " Jane", "n"]), [email.clone(), name("Jane Doe")]);
        assert_eq!(cells(["Doe", " x ", "\u{200B}", ""]), [email.clone(), name("Doe")]);
        assert_eq!(cells(["", " x ", "", ""]), [email]);
    }
}
