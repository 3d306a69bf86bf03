//! What names and descriptions say, as far as words can tell.

/// Longer names and descriptions are read up to here.
const READ_CHARS: usize = 2_000;

/// First words of names that can only mean reading.
const READING: &str = "\
    calculate compare compute convert count decode describe echo encode find get greet has \
    health hello help info is list look lookup parse ping read search status sum validate \
    version whoami";

/// Names that mean arithmetic, if all that is taken is numbers.
const ARITHMETIC: &str = "\
    add average divide factorial fibonacci max mean min modulo multiply power sqrt square \
    subtract sum";

/// Words that mean an effect, anywhere in a name.
const EFFECT: &str = "\
    add append apply book buy call cancel change clear click close commit copy create delete \
    deploy disable drop edit email enable exec execute increment insert install kill launch \
    lock log login logout mark merge modify move next open order overwrite patch pay pop post \
    publish purge push put register release remove rename replace reset restart run save \
    schedule send set shutdown start stop store submit sync take toggle transfer trigger \
    uninstall unlock update upload upsert write";

/// Words that mean an effect, anywhere in a description.
const EFFECT_IN_DESCRIPTION: &str = "\
    create creates delete deletes execute executes insert inserts modify modifies overwrite \
    overwrites purchase remove removes run runs send sends update updates upload uploads write \
    writes";

/// Words for things of which only the server's side knows which exist.
const UNKNOWABLE: &str = "\
    account address branch bucket channel code column command commit cursor database dir \
    directory directories domain email endpoint expression file filename filepath files folder \
    glob graphql guid host hostname href id identifier ids index ip jql key link namespace \
    owner package password path paths pattern phone pid port project ref regex repo repository \
    script secret selector sha sql symbol table ticker token uri url urls user username \
    workspace xpath";

/// Of those, the ones that are told from a description alone.
const UNKNOWABLE_IN_DESCRIPTION: &str = "\
    directory file filename filepath folder glob graphql id identifier jql path paths regex \
    sql uri url xpath";

/// Words for text that a person would type.
const FREE_TEXT: &str = "\
    content input keyword keywords message msg phrase prompt q query question search sentence \
    str string term terms text topic word words";

/// Lower-case words of a name, split at case changes and at all that is no letter or digit.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before_is_lower = false;
    for c in text.chars().take(READ_CHARS) {
        let ends_a_word = !c.is_alphanumeric() || (c.is_uppercase() && before_is_lower);
        if ends_a_word && !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before_is_lower = c.is_lowercase() || c.is_numeric();
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn is_in(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|known| known == word)
}

fn first_in<'w>(words: &'w [String], list: &str) -> Option<&'w str> {
    words
        .iter()
        .map(String::as_str)
        .find(|word| is_in(word, list))
}

/// The name begins with a word for reading, and nothing speaks of an effect.
pub(super) fn sounds_like_reading(name: &str, description: &str) -> bool {
    let name = words(name);
    name.first().is_some_and(|word| is_in(word, READING))
        && first_in(&name, EFFECT).is_none()
        && first_in(&words(description), EFFECT_IN_DESCRIPTION).is_none()
}

/// The whole name is one word of arithmetic, but for words such as "numbers".
pub(super) fn sounds_like_arithmetic(name: &str) -> bool {
    let name = words(name);
    name.first().is_some_and(|word| is_in(word, ARITHMETIC))
        && name
            .iter()
            .skip(1)
            .all(|word| is_in(word, "number numbers integers two floats"))
}

/// The tool says itself that a call takes long.
pub(super) fn sounds_slow(name: &str, description: &str) -> bool {
    let slow = |words: &[String]| {
        first_in(words, "sleep slow slowly wait waits").is_some()
            || words.windows(2).any(|pair| pair == ["long", "running"])
    };
    slow(&words(name)) || slow(&words(description))
}

/// The word that says that no value can be guessed.
pub(super) fn unknowable(name: &str, description: &str) -> Option<String> {
    first_in(&words(name), UNKNOWABLE)
        .map(str::to_owned)
        .or_else(|| first_in(&words(description), UNKNOWABLE_IN_DESCRIPTION).map(str::to_owned))
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    File,
    Folder,
}

/// Whether the path of a file or of a folder is wanted, as far as words tell.
pub(super) fn path(name: &str, description: &str, tool: &str) -> Option<PathKind> {
    const FILE: &str = "file filename filepath files";
    const FOLDER: &str = "dir directory directories folder repo repository workspace";
    const ANY: &str = "path paths";
    const NEITHER: &str = "glob graphql id identifier jql pattern regex sql uri url xpath";
    let (name, tool, description) = (words(name), words(tool), words(description));
    if first_in(&name, NEITHER).is_some() {
        return None;
    }
    // The nearest word decides: that of the argument, of its description, of the tool.
    for words in [&name, &description, &tool] {
        let mut kinds = words.iter().filter_map(|word| {
            let is_folder = is_in(word, FOLDER).then_some(PathKind::Folder);
            is_folder.or_else(|| is_in(word, FILE).then_some(PathKind::File))
        });
        // A search of files starts in a folder.
        match (kinds.next(), first_in(words, "search find list")) {
            (Some(PathKind::File), Some(_)) | (None, _) => {}
            (Some(kind), _) => return Some(kind),
        }
    }
    first_in(&name, ANY).map(|_| PathKind::Folder)
}

/// A number that names one thing among many.
pub(super) fn names_one_thing(name: &str) -> bool {
    first_in(&words(name), "id identifier ids pid port").is_some()
}

/// A person would type any text here. `tool` is the tool's name: who is greeted may have any name.
pub(super) fn free_text(name: &str, description: &str, tool: &str) -> bool {
    let name = words(name);
    first_in(&name, FREE_TEXT).is_some()
        || first_in(&words(description), "message phrase sentence text").is_some()
        || (name == ["name"] && first_in(&words(tool), "echo greet hello").is_some())
}

/// A time zone of the IANA list.
pub(super) fn time_zone(name: &str, description: &str) -> bool {
    let in_words = |words: &[String]| {
        first_in(words, "timezone tz").is_some()
            || words.windows(2).any(|pair| pair == ["time", "zone"])
    };
    in_words(&words(name)) || (in_words(&words(description)) && description.contains("IANA"))
}
