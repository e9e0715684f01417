//! Lists tags, page by page (OCI distribution spec, "Listing Tags"; RFC 8288 for `Link`).

use falconer_manifests::reference::Tag;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;
use url::Url;

use super::attempt::Ask;
use super::realm::authority;
use super::{Missing, Problem, Registries, Repository};
use crate::transfer::{self, Deadline};

/// How many tags one page is asked to have.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    /// Some registries give `null` for none.
    tags: Option<Vec<String>>,
}

impl Registries {
    pub(super) async fn list_tags(&self, repository: &Repository, deadline: Deadline) -> Result<Vec<Tag>, Problem> {
        let mut url = self.url(repository, &format!("tags/list?n={PAGE}"))?;
        let mut tags = Vec::new();
        loop {
            let ask = Ask::get(repository, url, Missing::Repository, deadline);
            let answer = self.answer_with_body(&ask, self.limits.manifest_bytes).await?;
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|_| Problem::Unusable("the list of tags is not of the documented form".to_owned()))?;
            let before = tags.len();
            for tag in page.tags.unwrap_or_default() {
                tags.push(Tag::parse(&tag).map_err(|error| Problem::Unusable(error.to_string()))?);
            }
            if tags.len() > self.limits.tags {
                return Err(Problem::TooManyTags { cap: self.limits.tags });
            }
            match next(&ask.url, &answer.headers)? {
                Some(next) if tags.len() > before && next != ask.url => url = next,
                Some(_) => return Err(Problem::Unusable("the list of tags does not come to an end".to_owned())),
                None => return Ok(tags),
            }
        }
    }
}

/// The address of the next page, which must be on the same host.
fn next(current: &Url, headers: &HeaderMap) -> Result<Option<Url>, Problem> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = links.flat_map(|value| value.split(',')).find_map(next_target) else { return Ok(None) };
    let url = current.join(target).map_err(|_| Problem::Unusable("the next page of tags has no address".to_owned()))?;
    if transfer::same_origin(current, &url) {
        Ok(Some(url))
    } else {
        Err(Problem::Steered { host: authority(&url), purpose: "list the tags" })
    }
}

/// The target of one link, when it is the next page's.
fn next_target(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let mut relations = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    });
    is_next.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(link: &str) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        let current = Url::parse("https://r.example/v2/a/tags/list?n=2").unwrap();
        Ok(next(&current, &headers)?.map(String::from))
    }

    #[test]
    fn links_to_the_next_page() {
        let page = "https://r.example/v2/a/tags/list?last=b&n=2";
        for link in [
            r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
            r#"</v2/a/tags/list?last=b&n=2>; rel=next"#,
            r#"<https://r.example/v2/a/tags/list?last=b&n=2>;title="x"; rel="Next last""#,
            r#"</first>; rel="first", </v2/a/tags/list?last=b&n=2>; rel="next""#,
        ] {
            assert_eq!(next_of(link).unwrap().unwrap(), page, "{link}");
        }
        for none in ["", "</x>", r#"</x>; rel="prev""#, r#"/x; rel="next""#, r#"<</x; rel="next""#] {
            assert_eq!(next_of(none).unwrap(), None, "{none}");
        }
        for elsewhere in [r#"<https://b.example/>; rel="next""#, r#"<http://r.example/>; rel="next""#] {
            assert!(matches!(next_of(elsewhere), Err(Problem::Steered { .. })), "{elsewhere}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_link_panics(text in "[<>;,=\" /a-z:.\\[]{0,24}(rel=next)?") {
            let _any_answer_will_do = next_of(&text);
        }
    }
}
