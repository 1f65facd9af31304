// SPDX-License-Identifier: Apache-2.0
// A small web shop with its own visitors: renders pages, answers JSON, packs and signs what it
// sends. Prints "ready" once the first page was served.
'use strict';
const http = require('http');
const zlib = require('zlib');
const crypto = require('crypto');

const articles = Array.from({ length: 400 }, (_, i) => ({
    id: i, name: `article ${i}`, price: (i * 7919) % 1000, tags: [`tag${i % 7}`, `tag${i % 11}`],
}));

function escapeMarkup(text) {
    return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function renderArticle(article) {
    return `<li id="a${article.id}">${escapeMarkup(article.name)} <b>${article.price}</b></li>`;
}

function renderPage(title, list) {
    return `<h1>${escapeMarkup(title)}</h1><ul>${list.map(renderArticle).join('')}</ul>`;
}

function cheapestFirst(list) {
    return [...list].sort((a, b) => a.price - b.price || a.id - b.id);
}

function sign(body) {
    return crypto.createHash('sha256').update(body).digest('hex');
}

function servePage(response) {
    const body = zlib.gzipSync(renderPage('Everything we have', cheapestFirst(articles)));
    response.setHeader('Content-Encoding', 'gzip');
    response.end(body);
}

function serveSearch(response) {
    const found = JSON.parse(JSON.stringify(articles)).filter((a) => a.tags.includes('tag3'));
    const body = JSON.stringify(found);
    response.setHeader('ETag', sign(body));
    response.end(body);
}

function handleRequest(request, response) {
    if (request.url.startsWith('/search'))
        serveSearch(response);
    else
        servePage(response);
}

function visit(agent, port, n) {
    const path = n % 3 ? '/search?q=tag3' : '/';
    http.get({ agent, port, path }, (response) => {
        response.resume();
        response.on('end', () => {
            if (n === 0)
                console.log('ready');
            setImmediate(visit, agent, port, n + 1);
        });
    });
}

const server = http.createServer(handleRequest);
server.listen(0, '127.0.0.1', () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    visit(agent, server.address().port, 0);
    for (let visitor = 1; visitor < 4; visitor++)
        visit(agent, server.address().port, visitor);
});
