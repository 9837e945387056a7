-- signatures.sqlite: what the source of every release of one package says. Documented in docs/signatures.md.
CREATE TABLE release (
  id       INTEGER PRIMARY KEY,
  version  TEXT NOT NULL UNIQUE,
  filename TEXT NOT NULL,          -- the wheel or sdist that was read
  sha256   TEXT NOT NULL,          -- of that archive
  reason   TEXT                    -- why nothing could be read; NULL where it was
);
CREATE TABLE requirement (         -- as declared in the release's metadata
  release  INTEGER NOT NULL REFERENCES release ON DELETE CASCADE,
  position INTEGER NOT NULL,
  source   TEXT NOT NULL,
  PRIMARY KEY (release, position)
) WITHOUT ROWID;
CREATE TABLE body (                -- a function's body, comments and docstring left out, layout normalized
  sha256   TEXT PRIMARY KEY,
  source   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE file (                -- content-addressed: one row however many releases hold it
  id       INTEGER PRIMARY KEY,
  sha256   TEXT NOT NULL,
  module   TEXT NOT NULL,          -- relative imports depend on where a file lies
  package  INTEGER NOT NULL CHECK (package IN (0, 1)),
  exports  TEXT,                   -- __all__ as a JSON list; NULL where there is none
  error    TEXT,                   -- why it could not be parsed; NULL where it was
  UNIQUE (sha256, module, package)
);
CREATE TABLE release_file (
  release  INTEGER NOT NULL REFERENCES release ON DELETE CASCADE,
  file     INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
  PRIMARY KEY (release, file)
) WITHOUT ROWID;
CREATE INDEX release_file_file ON release_file (file);
CREATE TABLE definition (
  id           INTEGER PRIMARY KEY,
  file         INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
  position     INTEGER NOT NULL,   -- order in the file: of two definitions of one name, the later one holds
  qualname     TEXT NOT NULL,
  kind         TEXT NOT NULL CHECK (kind IN ('function', 'lambda', 'class', 'attribute', 'alias', 'star', 'deleted')),
  access       TEXT,               -- of functions: function, method, classmethod, staticmethod or property
  line         INTEGER NOT NULL,
  end_line     INTEGER NOT NULL,
  target       TEXT,               -- of aliases and star imports: the absolute path that they point to
  value        TEXT,               -- of attributes: the value's source
  annotation   TEXT,               -- of attributes; of functions, what they return
  body         TEXT REFERENCES body (sha256),
  is_async     INTEGER NOT NULL,
  is_generator INTEGER NOT NULL,
  is_overload  INTEGER NOT NULL,
  on_instance  INTEGER NOT NULL,   -- an attribute that a method sets on self
  wraps        TEXT,               -- how it keeps signatures as a decorator: bare, called, updates
  UNIQUE (file, position)
);
CREATE INDEX definition_qualname ON definition (qualname);
CREATE INDEX definition_body ON definition (body);
CREATE TABLE parameter (
  definition INTEGER NOT NULL REFERENCES definition ON DELETE CASCADE,
  position   INTEGER NOT NULL,
  name       TEXT NOT NULL,
  kind       TEXT NOT NULL CHECK (kind IN ('positional-only', 'positional or keyword', 'variadic positional',
                                           'keyword-only', 'variadic keyword')),
  default_   TEXT,                 -- source; NULL where it is required
  annotation TEXT,
  PRIMARY KEY (definition, position)
) WITHOUT ROWID;
CREATE INDEX parameter_name ON parameter (name);
CREATE TABLE part (                -- decorators, bases (keywords as `metaclass=M`) and names always called, as source
  definition INTEGER NOT NULL REFERENCES definition ON DELETE CASCADE,
  role       TEXT NOT NULL CHECK (role IN ('decorator', 'base', 'call')),
  position   INTEGER NOT NULL,
  source     TEXT NOT NULL,
  PRIMARY KEY (definition, role, position)
) WITHOUT ROWID;
CREATE TABLE guard (               -- the conditions that a definition stands under, outermost first
  definition INTEGER NOT NULL REFERENCES definition ON DELETE CASCADE,
  position   INTEGER NOT NULL,
  branch     TEXT NOT NULL,        -- if, else, try, except, no-exception, loop
  test       TEXT NOT NULL,
  line       INTEGER NOT NULL,     -- of the statement: tells two conditions with one text apart
  PRIMARY KEY (definition, position)
) WITHOUT ROWID;
CREATE TABLE import (
  file     INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
  position INTEGER NOT NULL,
  module   TEXT NOT NULL,
  name     TEXT,                   -- NULL where the module itself is imported
  line     INTEGER NOT NULL,
  deferred INTEGER NOT NULL,       -- in a function: not run when the file is imported
  guards   TEXT NOT NULL,          -- as in the table guard, a JSON list of [branch, test, line]
  PRIMARY KEY (file, position)
) WITHOUT ROWID;
CREATE INDEX import_module ON import (module);
