"""What an object and a field are: types, lengths, references, and how a field is stored. No records, no HTTP.

The standard objects are written down in `standard_objects`; this module reads that notation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from salesforce_simulator import standard_objects

#: Salesforce type -> DuckDB type of the column that stores it.
STORAGE = {
    "id": "VARCHAR",
    "reference": "VARCHAR",
    "string": "VARCHAR",
    "textarea": "VARCHAR",
    "picklist": "VARCHAR",
    "multipicklist": "VARCHAR",
    "combobox": "VARCHAR",
    "email": "VARCHAR",
    "phone": "VARCHAR",
    "url": "VARCHAR",
    "encryptedstring": "VARCHAR",
    "boolean": "BOOLEAN",
    "int": "BIGINT",
    "long": "BIGINT",
    "double": "DOUBLE",
    "percent": "DOUBLE",
    "currency": "DECIMAL(18,{scale})",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "time": "TIME",
}
TEXT_TYPES = frozenset(t for t, storage in STORAGE.items() if storage == "VARCHAR")
ID_TYPES = frozenset({"id", "reference"})
NUMBER_TYPES = frozenset({"int", "long", "double", "percent", "currency"})
#: Filled in where an input lacks them, because every record of the service has them.
SYSTEM_FIELDS = ("Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp")


@dataclass(frozen=True)
class Field:
    """One field of an object, with what describe says of it."""

    name: str
    type: str
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    child_relationship: str | None = None
    picklist: tuple[str, ...] = ()
    calculated: bool = False
    createable: bool = True
    updateable: bool = True
    filterable: bool = True
    sortable: bool = True
    groupable: bool = True
    name_field: bool = False
    external_id: bool = False
    default: str | None = None

    @property
    def storage(self) -> str:
        """The DuckDB type of the column."""
        return STORAGE[self.type].format(scale=self.scale)

    @property
    def custom(self) -> bool:
        """Whether the field is a custom one."""
        return self.name.endswith("__c")


@dataclass(frozen=True)
class ObjectType:
    """One object: its name, key prefix and fields in the order of describe."""

    name: str
    key_prefix: str | None
    label: str
    label_plural: str
    fields: tuple[Field, ...]
    queryable: bool = True
    bulk: bool = True
    createable: bool = True
    _by_name: dict[str, Field] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._by_name.update({f.name.lower(): f for f in self.fields})

    def field(self, name: str) -> Field | None:
        """The field of that name, whatever its case."""
        return self._by_name.get(name.lower())

    def relationship(self, name: str) -> Field | None:
        """The reference field whose relationship has that name."""
        wanted = name.lower()
        return next((f for f in self.fields if f.relationship_name and f.relationship_name.lower() == wanted), None)

    @property
    def custom(self) -> bool:
        """Whether the object is a custom one."""
        return self.name.endswith("__c")

    @property
    def name_field(self) -> str | None:
        """The field that names a record, if the object has one."""
        return next((f.name for f in self.fields if f.name_field), None)

    def with_fields(self, fields: Iterable[Field]) -> ObjectType:
        """The same object with other fields."""
        return replace(self, fields=tuple(fields), _by_name={})


_FIELD = re.compile(
    r"(?P<name>\w+) (?P<type>[a-z]+)(?:\((?P<args>[^)]*)\))?(?: \{(?P<picklist>[^}]*)\})?(?: (?P<flags>.*))?"
)
_DEFAULT_LENGTH = {
    "string": 255,
    "textarea": 32000,
    "picklist": 255,
    "email": 80,
    "phone": 40,
    "url": 255,
    "id": 18,
    "reference": 18,
}


def label_of(name: str) -> str:
    """A label in words for an API name: `CloseDate` -> `Close Date`."""
    base = name.removesuffix("__c").replace("_", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", base.removesuffix("Id") if len(base) > 2 else base)


def make_field(name: str, type_: str, args: str = "", picklist: str = "", flags: str = "") -> Field:
    """A field from the notation of `standard_objects`; raises KeyError on a type that is not known."""
    if type_ not in STORAGE:
        raise KeyError(type_)
    given = [part.strip() for part in args.split(",") if part.strip()]
    words = flags.split()
    values: dict[str, str] = dict(w.split("=", 1) for w in words if "=" in w)
    marks = {w for w in words if "=" not in w}
    length = precision = scale = 0
    references: tuple[str, ...] = ()
    relationship = None
    if type_ == "reference":
        references = tuple(given)
        base = name.removesuffix("__c") + "__r" if name.endswith("__c") else name.removesuffix("Id")
        relationship = values.get("rel", base)
        length = 18
    elif type_ in ("currency", "double", "percent"):
        precision, scale = (int(given[0]), int(given[1])) if given else (18, 2)
    elif type_ in TEXT_TYPES:
        length = int(given[0]) if given else _DEFAULT_LENGTH.get(type_, 255)
    long_text = type_ == "textarea" and length > 255
    system = name in SYSTEM_FIELDS or name in ("CreatedById", "LastModifiedById")
    return Field(
        name=name,
        type=type_,
        label=label_of(name) or name,
        length=length,
        precision=precision,
        scale=scale,
        nillable=not (system or type_ == "boolean" or "!" in marks),
        reference_to=references,
        relationship_name=relationship,
        child_relationship=values.get("child"),
        picklist=tuple(v.strip() for v in picklist.split("|")) if picklist else (),
        calculated="calc" in marks,
        createable=not (system or "calc" in marks or "readonly" in marks),
        updateable=not (system or "calc" in marks or "readonly" in marks or "once" in marks),
        filterable=not (long_text or "nofilter" in marks),
        sortable=not long_text,
        groupable=not long_text and type_ not in ("datetime", "double", "percent", "currency"),
        name_field="name" in marks,
        external_id="external" in marks,
        default="false" if type_ == "boolean" else values.get("default"),
    )


def _read_notation(text: str) -> dict[str, ObjectType]:
    objects: dict[str, ObjectType] = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        head, *lines = block.splitlines()
        name, prefix, label, plural, *marks = (part.strip() for part in head.split("|"))
        fields = []
        for line in lines:
            match = _FIELD.fullmatch(line.strip())
            if match is None:
                raise ValueError(f"{name}: cannot read {line!r}")
            fields.append(make_field(*(match[g] or "" for g in ("name", "type", "args", "picklist", "flags"))))
        objects[name.lower()] = ObjectType(
            name,
            None if prefix == "-" else prefix,
            label,
            plural,
            tuple(fields),
            bulk="nobulk" not in marks,
            createable="readonly" not in marks,
        )
    return objects


_STANDARD = _read_notation(standard_objects.NOTATION)


def standard_object(name: str) -> ObjectType | None:
    """The standard object of that name with all its fields, or None."""
    return _STANDARD.get(name.lower())


def system_field(name: str) -> Field | None:
    """One of SYSTEM_FIELDS as every object has it, whatever the case of the name; else None."""
    for known in SYSTEM_FIELDS:
        if known.lower() == name.lower():
            return make_field(known, "id" if known == "Id" else "boolean" if known == "IsDeleted" else "datetime")
    return None


def standard_names() -> list[str]:
    """The standard objects that are written down here."""
    return [o.name for o in _STANDARD.values()]
