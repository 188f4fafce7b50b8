"""Templates in the reader's language: looks up, translates and renders them, nothing else.

A template is code of ours or of the operator's `templates` folder. It runs in a sandbox, which keeps it from
Python's insides but not from wasting time, so that the folder has to be trusted. What a template is given is
data and is never compiled.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailer.errors import BadTemplate, Refused
from mailer.resources import resource_folder
from mailer.templating.formats import filters, locale_of

SOURCE_LANGUAGE: Final = "en"
"""The language of the texts in the templates, which needs no catalogue."""

MAX_OUTPUT: Final = 1_000_000
"""How many characters a template may make: a runaway loop ends here, not when memory does."""

_COMPILED: Final = (".html", ".txt", ".xml")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Templates:
    """All templates, those of the operator first.

    Args:
        override: a folder whose files take the place of the shipped ones of the same name,
            `translations/{language}.po` included.

    Raises:
        BadTemplate: `override` is no folder.
    """

    def __init__(self, override: Path | None = None) -> None:
        if override is not None and not override.is_dir():
            raise BadTemplate(
                f"the folder {override} does not exist; make it, or take `templates` out of the settings"
            )
        shipped = resource_folder("templates")
        self._folders = (shipped,) if override is None else (override.resolve(), shipped)
        self._environments: dict[str, Environment] = {}
        self._catalogues: dict[str, NullTranslations] = {}
        self._lock = threading.Lock()

    def render(self, name: str, language: str, context: Mapping[str, object]) -> str:
        """The template called `name`, such as "mail/digest.html", in `language`.

        Templates whose name ends in .html escape what they are given, all others do not. Control
        characters are left out. Beside `context` a template sees `language`, `dir` ("ltr" or "rtl"),
        gettext, and the filters of `mailer.templating.formats`.

        Raises:
            BadTemplate: it is missing, broken, uses a field that it is not given, or makes too much.
            Refused: there is no such language.
        """
        try:
            pieces = self._environment(language).get_template(name).generate(context)
            return _CONTROLS.sub("", "".join(_capped(pieces, name)))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            # The operator's templates are code: whatever they raise is told by file and line.
            raise _told(error, name, self._folders) from error

    def gettext(self, language: str) -> Callable[..., str]:
        """The translating function of `language`: takes an English text and values for its `%(name)s`.

        Raises:
            BadTemplate: its catalogue cannot be read.
            Refused: there is no such language.
        """
        catalogue = self._catalogue(locale_of(language))

        def translate(text: str, **values: object) -> str:
            return catalogue.gettext(text) % values

        return translate

    def languages(self) -> tuple[str, ...]:
        """The languages that there is a catalogue for, English first.

        Other languages work too, with dates and direction of their own and English texts.
        """
        found = {path.stem for path in self._files("translations/*.po")}
        return (SOURCE_LANGUAGE, *sorted(found - {SOURCE_LANGUAGE}))

    def check_all(self) -> None:
        """Compile every template and read every catalogue.

        Raises:
            BadTemplate: one of them is broken.
        """
        environment = self._environment(SOURCE_LANGUAGE)
        for name in environment.list_templates(filter_func=lambda name: name.endswith(_COMPILED)):
            try:
                environment.get_template(name)
            except (TemplateError, ValueError) as error:
                raise _told(error, name, self._folders) from error
        for language in self.languages():
            try:
                self._catalogue(locale_of(language))
            except Refused as error:
                raise BadTemplate(
                    f"translations/{language}.po is named after no language; rename it"
                ) from error

    def _files(self, pattern: str) -> Iterator[Path]:
        for folder in self._folders:
            yield from folder.glob(pattern)

    def _environment(self, language: str) -> Environment:
        # Installing translations changes an Environment, so that each language needs one of its own.
        with self._lock:
            if language in self._environments:
                return self._environments[language]
        environment = self._make_environment(language)
        with self._lock:
            return self._environments.setdefault(language, environment)

    def _make_environment(self, language: str) -> Environment:
        locale = locale_of(language)
        environment = _Sandbox(
            loader=FileSystemLoader(self._folders),
            autoescape=select_autoescape(["html"], default=False, default_for_string=False),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            # What was found to be good at the start is what is used, until the next start.
            auto_reload=False,
        )
        environment.install_gettext_translations(  # type: ignore[attr-defined]
            self._catalogue(locale), newstyle=True
        )
        environment.globals |= {"language": language, "dir": locale.text_direction}
        environment.filters |= filters(locale)
        return environment

    def _catalogue(self, locale: Locale) -> NullTranslations:
        with self._lock:
            if str(locale) in self._catalogues:
                return self._catalogues[str(locale)]
        catalogue = self._read_catalogue(locale)
        with self._lock:
            return self._catalogues.setdefault(str(locale), catalogue)

    def _read_catalogue(self, locale: Locale) -> NullTranslations:
        exact = str(locale).replace("_", "-")
        for language in dict.fromkeys((exact, locale.language)):
            for path in self._files(f"translations/{language}.po"):
                try:
                    with path.open("rb") as file:
                        catalogue = read_po(file, locale=locale, abort_invalid=True)
                    for message, faults in catalogue.check():
                        # A placeholder that is misspelt would raise when the mail is made.
                        raise BadTemplate(f"{path}: {message.id!r}: {faults[0]}; mend it")
                    compiled = BytesIO()
                    write_mo(compiled, catalogue)
                    compiled.seek(0)
                    return GNUTranslations(compiled)
                except (PoFileError, ValueError, OSError) as error:
                    raise BadTemplate(f"{path}: {error}; mend the catalogue") from error
        return NullTranslations()


class _Sandbox(ImmutableSandboxedEnvironment):
    """Refuses to compile what the sandbox would refuse to run, so that the start finds it in pages, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._safe: dict[tuple[type, str], bool] = {}

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Whether templates may ask for it. Depends on the type alone, so that it is judged once."""
        key = (type(obj), attr)
        if key not in self._safe:
            self._safe[key] = super().is_safe_attribute(obj, attr, value)
        return self._safe[key]

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        for node in source.find_all((nodes.Getattr, nodes.Getitem)):
            key = node.attr if isinstance(node, nodes.Getattr) else _constant(node)
            if key.startswith("__"):
                raise TemplateSyntaxError(
                    f"{key!r} belongs to Python and is closed to templates",
                    node.lineno,
                    name,
                    filename,
                )
        return super()._generate(source, name, filename, defer_init)


def _constant(node: nodes.Node) -> str:
    """The text in the brackets of `node`; nothing where no text stands there."""
    key = node.arg if isinstance(node, nodes.Getitem) else None
    return key.value if isinstance(key, nodes.Const) and isinstance(key.value, str) else ""


def _capped(pieces: Iterator[str], name: str) -> Iterator[str]:
    made = 0
    for piece in pieces:
        made += len(piece)
        if made > MAX_OUTPUT:
            raise BadTemplate(f"{name} makes more than {MAX_OUTPUT} characters; shorten it")
        yield piece


def _told(error: Exception, name: str, folders: tuple[Path, ...]) -> BadTemplate:
    """`error` as one that names the file and the line it happened in."""
    if isinstance(error, TemplateNotFound):
        used = "" if error.name in (None, name) else f", which {name} uses"
        return BadTemplate(f"there is no template {error.name or name}{used}; restore the file")
    place, line = name, 0
    if isinstance(error, TemplateSyntaxError):
        place, line = error.filename or name, error.lineno
    else:
        for file, number in _frames(error.__traceback__):
            if any(Path(file).is_relative_to(folder) for folder in folders):
                place, line = file, number
    where = f"{place}, line {line}" if line else place
    return BadTemplate(f"{where}: {error}; mend the template")


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int]]:
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
