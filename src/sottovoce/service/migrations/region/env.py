from alembic import context

from sottovoce.service.migrate import run

run(context)
