"""Finds, translates and renders templates.

A template is code of ours or of the operator's `templates` folder. It runs in a sandbox, which keeps it away
from Python's internals but does not limit its time, so that the folder must be trusted. The values that a
template gets are data, and never compiled.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from traceback import walk_tb
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
from mailer.packaged_files import resource_folder
from mailer.templating.formats import filters, locale_of

SOURCE_LANGUAGE: Final = "en"
"""The language of the texts in the templates. It needs no catalogue."""

MAX_OUTPUT: Final = 1_000_000
"""How many characters a template may produce, so that an endless loop does not use up the memory."""

_COMPILED: Final = (".html", ".txt", ".xml")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Templates:
    """All templates, those of the operator first.

    Args:
        override: a folder whose files replace the shipped ones of the same name,
            `translations/{language}.po` included.

    Raises:
        BadTemplate: `override` is not a folder.
    """

    def __init__(self, override: Path | None = None) -> None:
        if override is not None and not override.is_dir():
            raise BadTemplate(
                f"the folder {override} does not exist; create it, or remove `templates` from the settings"
            )
        shipped = resource_folder("templates")
        self._folders = (shipped,) if override is None else (override.resolve(), shipped)
        self._environments: dict[str, Environment] = {}
        self._catalogues: dict[str, NullTranslations] = {}
        self._translating: dict[str, Callable[..., str]] = {}
        self._lock = threading.RLock()

    def render(self, name: str, language: str, context: Mapping[str, object]) -> str:
        """Render the template called `name`, such as "mail/digest.html", in `language`.

        Templates whose name ends in .html escape their values, all others do not. Control characters are
        removed. Besides `context` a template sees `language`, `dir` ("ltr" or "rtl"), gettext, and the
        filters of `mailer.templating.formats`.

        Raises:
            BadTemplate: it is missing or broken, uses an unknown field, or is too long.
            Refused: the language does not exist.
        """
        try:
            chunks = self._environment(language).get_template(name).generate(context)
            return _CONTROLS.sub("", "".join(_capped(chunks, name)))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            # The operator's templates are code: their errors are reported with file and line.
            raise BadTemplate(_explain(error, name, self._folders)) from error

    def gettext(self, language: str) -> Callable[..., str]:
        """Return the translating function of `language`, for an English text and values of its `%(name)s`.

        Raises:
            BadTemplate: its catalogue cannot be read.
            Refused: the language does not exist.
        """
        if language not in self._translating:
            catalogue = self._catalogue(locale_of(language))

            def translate(text: str, **values: object) -> str:
                return catalogue.gettext(text) % values

            self._translating[language] = translate
        return self._translating[language]

    def languages(self) -> tuple[str, ...]:
        """List the languages that have a catalogue, English first.

        Other languages work too, with their own dates and direction, but English texts.
        """
        languages = {path.stem for path in self._files("translations/*.po")}
        return (SOURCE_LANGUAGE, *sorted(languages - {SOURCE_LANGUAGE}))

    def check_all(self) -> None:
        """Compile every template and read every catalogue.

        Raises:
            BadTemplate: one of them is broken, or a catalogue is not named after a language.
        """
        environment = self._environment(SOURCE_LANGUAGE)
        for name in environment.list_templates(filter_func=lambda name: name.endswith(_COMPILED)):
            try:
                environment.get_template(name)
            except (TemplateError, ValueError) as error:
                raise BadTemplate(_explain(error, name, self._folders)) from error
        for language in self.languages():
            try:
                self._catalogue(locale_of(language))
            except Refused as error:
                raise BadTemplate(
                    f"translations/{language}.po is not named after a language; rename it"
                ) from error

    def _files(self, pattern: str) -> Iterator[Path]:
        for folder in self._folders:
            yield from folder.glob(pattern)

    def _environment(self, language: str) -> Environment:
        # Installing translations changes an Environment, so each language needs its own.
        with self._lock:
            if language not in self._environments:
                self._environments[language] = self._make_environment(language)
            return self._environments[language]

    def _make_environment(self, language: str) -> Environment:
        locale = locale_of(language)
        environment = _Sandbox(
            loader=FileSystemLoader(self._folders),
            autoescape=select_autoescape(["html"], default=False, default_for_string=False),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            # Templates are checked at the start, and used like that until the next start.
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
            if str(locale) not in self._catalogues:
                self._catalogues[str(locale)] = self._read_catalogue(locale)
            return self._catalogues[str(locale)]

    def _read_catalogue(self, locale: Locale) -> NullTranslations:
        exact = str(locale).replace("_", "-")
        for language in dict.fromkeys((exact, locale.language)):
            for path in self._files(f"translations/{language}.po"):
                try:
                    with path.open("rb") as file:
                        catalogue = read_po(file, locale=locale, abort_invalid=True)
                    for message, problems in catalogue.check():
                        # A misspelt placeholder would fail later, when the mail is rendered.
                        raise BadTemplate(f"{path}: {message.id!r}: {problems[0]}; correct it")
                    compiled = BytesIO()
                    write_mo(compiled, catalogue)
                    compiled.seek(0)
                    return GNUTranslations(compiled)
                except (PoFileError, ValueError, OSError) as error:
                    raise BadTemplate(f"{path}: {error}; correct the catalogue") from error
        return NullTranslations()


class _Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox that refuses forbidden names when it compiles, so that they are found at the start."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._safe: dict[tuple[type, str], bool] = {}

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Tell whether templates may use the attribute. It depends on the type alone, and is cached."""
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
                    f"{key!r} belongs to Python; templates cannot use it",
                    node.lineno,
                    name,
                    filename,
                )
        return super()._generate(source, name, filename, defer_init)


def _constant(node: nodes.Node) -> str:
    """Return the text in the brackets of `node`; empty if it is not a constant text."""
    key = node.arg if isinstance(node, nodes.Getitem) else None
    return key.value if isinstance(key, nodes.Const) and isinstance(key.value, str) else ""


def _capped(chunks: Iterator[str], name: str) -> Iterator[str]:
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > MAX_OUTPUT:
            raise BadTemplate(f"{name} produces more than {MAX_OUTPUT} characters; shorten it")
        yield chunk


def _explain(error: Exception, name: str, folders: tuple[Path, ...]) -> str:
    """Describe `error` with the file and the line in which it happened."""
    if isinstance(error, TemplateNotFound):
        used = "" if error.name in (None, name) else f", which {name} uses,"
        return f"the template {error.name or name}{used} is missing; restore the file"
    place, line = name, 0
    if isinstance(error, TemplateSyntaxError):
        place, line = error.filename or name, error.lineno
    else:
        for frame, number in walk_tb(error.__traceback__):
            file = frame.f_code.co_filename
            if any(Path(file).is_relative_to(folder) for folder in folders):
                place, line = file, number
    where = f"{place}, line {line}" if line else place
    return f"{where}: {error}; correct the template"
