from alembic import context

from sottovoce.service.storage.migrate import run

run(context)
