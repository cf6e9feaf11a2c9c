// Prints a document with what editors and other users of Yjs put into one, for everything.hex:
//   node everything.mjs path/to/yjs.mjs > everything.hex
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const Y = await import(pathToFileURL(process.argv[2]))
const doc = new Y.Doc()
doc.clientID = 1

const heading = new Y.XmlElement('heading')
heading.setAttribute('level', 2)
heading.setAttribute('meta', { a: [1, null, true] })
heading.insert(0, [new Y.XmlText('Title <x> & y')])
const bold = new Y.XmlText('plain bold')
bold.format(6, 4, { bold: true, link: { href: 'http://example.com' } })
const paragraph = new Y.XmlElement('paragraph')
paragraph.insert(0, [bold, new Y.XmlElement('hard_break')])
doc.getXmlFragment('prosemirror').insert(0, [heading, paragraph])

const lexical = new Y.XmlText()
doc.get('lexical', Y.XmlText).insertEmbed(0, lexical)
lexical.setAttribute('__type', 'paragraph')
lexical.setAttribute('__indent', 0)
lexical.insertEmbed(0, new Y.Map([['__type', 'text']]))
lexical.insert(1, 'hello lexical')

const quill = doc.getText('quill')
quill.insert(0, 'head\n')
quill.format(4, 1, { header: 1 })
quill.insertEmbed(0, { image: 'a.png' })

const map = doc.getMap('map')
map.set('undefined', undefined)
map.set('big', 9007199254740993n)
map.set('bytes', new Uint8Array([0, 255]))
map.set('subdocument', new Y.Doc({ guid: 'the guid' }))
map.set('xml', new Y.XmlElement('b'))
doc.getArray('array').push([1, 's', new Y.Map(), new Y.Text('text'), new Y.XmlElement('z')])

console.log(Buffer.from(Y.encodeStateAsUpdate(doc)).toString('hex'))
